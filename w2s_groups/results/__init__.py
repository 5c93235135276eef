"""Stored results: cells, the long table, statistics, ranks and choices among variants."""
