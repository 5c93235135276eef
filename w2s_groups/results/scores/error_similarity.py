"""How alike the errors of two models are, beyond what their accuracies bring about."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.results.scores.rows import Floats, mean


def error_similarity(
    one: Floats, other: Floats, y: NDArray[np.int64], weights: ArrayLike | None = None
) -> float:
    """Chance adjusted probabilistic agreement (CAPA) kappa_p, at most 1; NaN without rows.

    (c_obs - c_exp) / (1 - c_exp). c_obs is the mean of sum_k p_k q_k: how often decisions drawn
    from both agree. c_exp = p q + (1 - p) (1 - q) / (C - 1), from the mean probabilities p, q of
    the true class: agreement of two models that are right independently and wrong uniformly over
    the other classes. 0: errors as independent as that; negative: errors on different rows. One-hot
    rows give the kappa of decisions, which is 1 for models that decide alike; probabilities short
    of certainty stay below 1 even against themselves. NaN where both are certain and right.
    one, other: (n, C) probabilities; y: (n,) classes; weights: (n,), equal by default.
    Source: Goel et al., Great Models Think Alike and this Undermines AI Oversight, ICML 2025.
    """
    if not len(one):
        return float("nan")
    rows = np.arange(len(y))
    p, q = mean(one[rows, y], weights), mean(other[rows, y], weights)
    observed = mean((one * other).sum(axis=1), weights)
    expected = p * q + (1 - p) * (1 - q) / (one.shape[1] - 1)
    return float("nan") if expected >= 1.0 - 1e-12 else (observed - expected) / (1 - expected)
