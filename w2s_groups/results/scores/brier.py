"""Brier score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.heads.problem import one_hot
from w2s_groups.results.scores.rows import Floats, mean


def brier(proba: Floats, y: NDArray[np.int64], weights: ArrayLike | None = None) -> float:
    """Mean squared distance of the probabilities from the truth; NaN without rows.

    The sum over classes, in [0, 2]; of two classes half of it, (p - y)^2, in [0, 1], as
    scikit-learn has it. proba: (n, C) probabilities; y: (n,) classes; weights: (n,), equal by
    default. Source: Brier, Monthly Weather Review 78, 1950.
    """
    square = np.square(proba - one_hot(y, proba.shape[1])).sum(axis=1)
    return mean(square / 2 if proba.shape[1] == 2 else square, weights)
