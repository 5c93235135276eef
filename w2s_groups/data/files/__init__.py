"""Files that datasets come in: archives, downloads, packages, tables, and the cache."""
