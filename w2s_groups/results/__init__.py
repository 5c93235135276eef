"""Stored cells, the long table of results, its arrays, and their statistics."""
