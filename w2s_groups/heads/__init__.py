"""Heads on features: what is minimised, and the solvers of whole grids."""
