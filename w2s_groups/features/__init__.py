"""Feature matrices: extracted from images, texts and rows, or read from files; a cache."""
