"""Accuracy of the most probable class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.heads.problem import choose
from w2s_groups.results.scores.rows import Floats, mean


def accuracy(proba: Floats, y: NDArray[np.int64], weights: ArrayLike | None = None) -> float:
    """Share of rows whose most probable class is y, in [0, 1]; NaN without rows.

    proba: (n, C) probabilities or scores, of which the first of equal ones is the decision.
    y: (n,) classes in 0..C-1. weights: (n,), equal by default.
    """
    return mean(choose(proba) == y, weights) if len(proba) else float("nan")
