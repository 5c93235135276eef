"""Weak-to-strong generalisation under group imbalance: a benchmark with exact theory beside it."""

__version__ = "0.1.0"
