"""Expected calibration error, and the bins that a reliability diagram shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.heads.problem import choose
from w2s_groups.results.scores.rows import Floats, weights_of

BINS = 15


class Bins(NamedTuple):
    """Of each bin (BINS,): its weight, and the weighted sums of confidence and right decisions."""

    weight: Floats
    confidence: Floats
    right: Floats


def bins(proba: Floats, y: NDArray[np.int64], weights: ArrayLike) -> Bins:
    """Rows by the probability of their own decision, in 15 bins ((k - 1) / 15, k / 15].

    proba: (n, C) probabilities; y: (n,) classes; weights: (n,).
    """
    weight, confidence = np.asarray(weights, dtype=np.float64), proba.max(axis=1, initial=0.0)
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    right = choose(proba) == y if len(proba) else np.zeros(0)
    parts = (weight, weight * confidence, weight * right)
    return Bins(*(np.bincount(place, part, BINS).astype(np.float64) for part in parts))


def calibration_error(
    proba: Floats, y: NDArray[np.int64], weights: ArrayLike | None = None
) -> float:
    """Mean over rows of |accuracy - confidence| of their bin, in [0, 1]; NaN without rows.

    Confidence is the probability of the decision, in 15 bins of equal width; empty ones count
    nothing. This estimator is not corrected for chance: few rows a bin raise it.
    proba: (n, C) probabilities; y: (n,) classes; weights: (n,), equal by default.
    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3.
    """
    if not len(proba):
        return float("nan")
    of = bins(proba, y, weights_of(len(y), weights))
    return float(np.abs(of.right - of.confidence).sum())
