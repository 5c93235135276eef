"""Intrinsic and correlation dimensions of two networks, over all samples and within groups."""
