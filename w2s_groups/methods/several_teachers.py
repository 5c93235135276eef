"""Several weak teachers of one weak network: heads on bootstrap resamples of the labelled set.

A bootstrap keeps the size of the labelled set and, on average, its groups. Disjoint parts would
leave each teacher a k-th of it: of 200 images at eta_l = 0.05 two of the minority, or none.
Source: Breiman, Bagging Predictors, Machine Learning 1996.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws


def resamples(labels: NDArray[np.int64], teachers: int, seed: int) -> NDArray[np.int64]:
    """(teachers, n) how often each row is in each resample; every class keeps its size.

    labels: (n,) classes. The draw follows from the cell's seed.
    """
    rng = stream(seed, "labelled/resamples")
    counts = np.zeros((teachers, len(labels)), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        drawn = rng.integers(0, len(members), (teachers, len(members)))
        for own, picked in zip(counts, drawn, strict=True):
            own[members] = np.bincount(picked, minlength=len(members))
    return counts


def weak_problems(draws: Draws, teachers: int, l2: float) -> list[Problem]:
    """The teacher's head on each resample: a row that is drawn twice has weight 2."""
    y = draws.y_labelled
    return [
        Problem(
            "teacher", draws.labelled[own > 0], y[own > 0], CrossEntropy(), l2,
            own[own > 0].astype(np.float64),
        )
        for own in resamples(y.argmax(axis=1), teachers, draws.seed)
    ]  # fmt: skip
