"""Log loss of probabilities that were rounded to float16."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.results.scores.rows import Floats, mean

# Below 1 float16 numbers are 2^-11 apart: a stored 1 stands for all of [1 - 2^-12, 1], and the
# other class of two for [0, 2^-12].
LEAST = 2.0**-12


def log_loss(proba: Floats, y: NDArray[np.int64], weights: ArrayLike | None = None) -> float:
    """Mean of -log p of the true class, in nats; NaN without rows.

    p is raised to 2^-12 where it is lower, so that no row costs more than 12 log 2 = 8.3.
    proba: (n, C) probabilities; y: (n,) classes; weights: (n,), equal by default.
    """
    own = proba[np.arange(len(y)), y]
    return mean(-np.log(np.clip(own, LEAST, 1.0)), weights)
