"""Feature matrices: extracted from images and texts, or read from files; kept in a cache."""
