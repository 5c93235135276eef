"""Features of images and texts: computed by a network, or read from a file."""
