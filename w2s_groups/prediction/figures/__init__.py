"""Figures of a prediction."""
