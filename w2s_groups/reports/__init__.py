"""Reports of stored results: Markdown, one HTML page, and text for the terminal."""
