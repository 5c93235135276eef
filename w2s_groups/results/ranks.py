"""Which ranks paired tests leave open to each method, instead of one rank that noise decides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from w2s_groups.results.stats import LEVEL, Floats

Ints = NDArray[np.int64]


class Ranks(NamedTuple):
    """Best and worst rank left to each method, (M,) each, 1 the highest; 0 where there is none."""

    best: Ints
    worst: Ints

    def text(self, m: int) -> str:
        """`1-3`, or `2` where one rank is left; empty where there is none."""
        best, worst = int(self.best[m]), int(self.worst[m])
        return "" if best == 0 else str(best) if best == worst else f"{best}-{worst}"


def rank_ranges(values: ArrayLike) -> Ranks:
    """Rank ranges of methods by `values` (M, S), larger is better, of the same S paired seeds.

    A method is surely better than another where the paired t test says so at 5 % after Holm's
    correction over all pairs. The range runs from 1 + the number of surely better methods to the
    number of methods - the number of surely worse ones, so with 95 % probability no range of the
    table misses the rank of its method by the true means. A method without a number in every seed,
    or a table of one seed, has no rank. Source: Holm (1979).
    """
    value = np.asarray(values, dtype=np.float64)
    ranked = np.flatnonzero(np.isfinite(value).all(axis=-1))
    best, worst = (np.zeros(len(value), dtype=np.int64) for _ in range(2))
    if value.shape[-1] < 2 or ranked.size == 0:
        return Ranks(best, worst)
    i, j = np.triu_indices(ranked.size, k=1)
    # Rounded: equal accuracies summed in another order must not pass for a steady difference.
    difference = np.round(value[ranked[i]] - value[ranked[j]], 12)
    surely = holm(paired_p(difference)) <= 1.0 - LEVEL
    up = difference.mean(axis=-1) > 0
    above = np.zeros((ranked.size, ranked.size), dtype=bool)  # [i, j]: i is surely better
    above[i, j], above[j, i] = surely & up, surely & ~up
    best[ranked] = 1 + above.sum(axis=0)
    worst[ranked] = ranked.size - above.sum(axis=1)
    return Ranks(best, worst)


def paired_p(difference: ArrayLike) -> Floats:
    """Two-sided p of the paired t test of no mean difference, over the seed axis (..., S).

    1 where all differences are 0, 0 where all are the same and not 0.
    """
    value = np.asarray(difference, dtype=np.float64)
    p = np.where(value.mean(axis=-1) == 0.0, 1.0, 0.0)
    some = np.ptp(value, axis=-1) > 1e-11  # SciPy has no t where nothing scatters
    p[some] = scipy_stats.ttest_1samp(value[some], 0.0, axis=-1).pvalue
    return p


def holm(p: ArrayLike) -> Floats:
    """(K,) p values -> (K,) adjusted ones, whose smallest false one is uniform or larger."""
    value = np.asarray(p, dtype=np.float64)
    order = np.argsort(value, kind="stable")
    adjusted = np.maximum.accumulate(value[order] * np.arange(value.size, 0, -1))
    out = np.empty(value.size)
    out[order] = np.minimum(adjusted, 1.0)
    return out
