"""Means over test rows, each with its weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def weights_of(n: int, weights: ArrayLike | None) -> Floats:
    """(n,) weights that sum to 1, equal ones for None; all NaN where their sum is not positive."""
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    total = weight.sum()
    return weight / total if total > 0 else np.full(n, np.nan)


def mean(values: ArrayLike, weights: ArrayLike | None) -> float:
    """Weighted mean of values (n,); NaN without rows. A row of weight 0 plays no part."""
    value = np.asarray(values, dtype=np.float64)
    if not value.size:
        return float("nan")
    return float(value @ weights_of(value.size, weights))
