"""Figures of results and datasets, as matplotlib figures."""
