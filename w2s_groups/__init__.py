"""A benchmark of weak-to-strong generalisation under group imbalance, with exact theory."""

__version__ = "0.1.0"
