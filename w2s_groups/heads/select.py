"""Which samples a head is surest of: the selection step of selective retraining."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from w2s_groups.errors import InputError


def lowest_entropy(probabilities: ArrayLike, keep: float) -> NDArray[np.int64]:
    """Sorted positions of the ⌈keep·n⌉ rows of (n, C) probabilities with the lowest entropy.

    keep in (0, 1]. Equal entropies keep the earlier row, so the choice is deterministic.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or len(p) == 0:
        raise InputError(f"probabilities have shape {p.shape}: must be (n, C) with n > 0")
    if not 0 < keep <= 1:
        raise InputError(f"keep={keep} must lie in (0, 1]: the fraction of samples to retrain on")
    # The tiny slack keeps 0.07 · 100 = 7.000000000000001 from counting as 8.
    n_kept = int(np.ceil(keep * len(p) - 1e-9))
    order = np.argsort(entr(p).sum(axis=1), kind="stable")
    return np.sort(order[: max(n_kept, 1)])
