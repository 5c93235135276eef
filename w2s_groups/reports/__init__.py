"""Reports: a result table as Markdown, an HTML page, figures and terminal text."""
