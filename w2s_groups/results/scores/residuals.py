"""Errors of a numeric target: their mean, and how alike those of two models are."""

from __future__ import annotations

from numpy.typing import ArrayLike

from w2s_groups.results.scores.rows import Floats, mean


def bias(residual: Floats, weights: ArrayLike | None = None) -> float:
    """Mean of prediction - target (n,), in their unit; NaN without rows. weights: (n,)."""
    return mean(residual, weights)


def error_correlation(one: Floats, other: Floats, weights: ArrayLike | None = None) -> float:
    """Pearson's correlation of the residuals (n,) of two models; NaN where one does not vary."""
    a, b = (part - mean(part, weights) for part in (one, other))
    scale = mean(a * a, weights) * mean(b * b, weights)
    return float(mean(a * b, weights) / scale**0.5) if scale > 0 else float("nan")
