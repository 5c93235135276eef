"""Dimensions of the features of two networks and how much of them the networks share."""
