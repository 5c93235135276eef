"""Which ranks paired tests leave open to each method, instead of one rank that noise decides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.seeds import stream
from w2s_groups.results.stats import LEVEL, Floats, paired_p

Ints = NDArray[np.int64]


class Ranks(NamedTuple):
    """Best and worst rank left to each method, (M,) each, 1 the highest; 0 where there is none."""

    best: Ints
    worst: Ints

    def text(self, m: int) -> str:
        """`1-3`, or `2` where one rank is left; empty where there is none."""
        best, worst = int(self.best[m]), int(self.worst[m])
        return "" if best == 0 else str(best) if best == worst else f"{best}-{worst}"


def rank_ranges(values: ArrayLike, step: float | None = None) -> Ranks:
    """Rank ranges of methods by `values` (M, S), larger is better, of the same S paired seeds.

    A method is significantly better than another where the paired t test at 5 % finds so, after
    Holm's correction over all pairs. The range runs from 1 + the number of significantly better
    methods to the number of methods - the number of significantly worse ones, so with 95 %
    probability no range of the table misses the rank of its method by the true means. step: the
    grain of the values, whose rounding adds to the variance (see stats.paired_p); by default the
    smallest gap between two of them. Below three seeds no rank is excluded. A method without a
    number in every seed has no rank. Source: Holm (1979).

    Why this test: it holds its level from 3 seeds on and n = 20 on
    (tests/results/test_rank_levels.py). At 10 seeds exact sign flips of the largest t over all
    pairs separate about as much (of 11 methods, n = 250: one that is .05 ahead from 52 against 50 %
    of the others; 32 against 31 % of all pairs in steps of .01); below 6 seeds they can separate
    nothing.
    """
    value = np.asarray(values, dtype=np.float64)
    there = np.isfinite(value).all(axis=-1) & (value.shape[-1] > 0)
    i, j = pairs(there)
    difference = value[i] - value[j]
    grain = _grain(value[there]) if step is None else step
    return of_tests(there, paired_p(difference, grain), difference.sum(axis=-1))


def pairs(there: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """First and second method of each pair of those that are there (M,)."""
    ranked = np.flatnonzero(there)
    i, j = np.triu_indices(ranked.size, k=1)
    return ranked[i], ranked[j]


def of_tests(there: NDArray[np.bool_], p: Floats, difference: Floats) -> Ranks:
    """Rank ranges of the methods that are there (M,), by a test of each of their `pairs`.

    p: two-sided p values of the pairs; difference: has the sign of the first less the second.
    """
    ranked = np.flatnonzero(there)
    best, worst = (np.zeros(len(there), dtype=np.int64) for _ in range(2))
    if ranked.size == 0:
        return Ranks(best, worst)
    i, j = np.triu_indices(ranked.size, k=1)
    significant, up = holm(p) <= 1.0 - LEVEL, difference > 0
    above = np.zeros((ranked.size, ranked.size), dtype=bool)  # [i, j]: i is significantly better
    above[i, j], above[j, i] = significant & up, significant & ~up
    best[ranked] = 1 + above.sum(axis=0)
    worst[ranked] = ranked.size - above.sum(axis=1)
    return Ranks(best, worst)


def _grain(value: Floats) -> float:
    """Smallest gap between two different values; 0 where all are the same."""
    gaps = np.diff(np.unique(np.round(value, 12)))
    return float(gaps[gaps > 1e-9].min(initial=np.inf)) if (gaps > 1e-9).any() else 0.0


class Survival(NamedTuple):
    """Shares of resamples of the seeds: the first method is still first, the order is the same."""

    first: float
    order: float


def survival(values: ArrayLike, resamples: int = 10_000) -> Survival:
    """How often the ranking by mean survives when the S seeds are drawn again with replacement.

    values: (M, S), larger is better, without NaN; the methods of a seed stay together. Means that
    tie keep their places.
    """
    value = np.asarray(values, dtype=np.float64)
    ordered = value[np.argsort(-value.mean(axis=-1), kind="stable")]
    seeds = value.shape[-1]
    draw = stream(0, f"results/ranks/{seeds}")
    weights = draw.multinomial(seeds, np.full(seeds, 1 / seeds), resamples)
    # Rounded: the last bit of a sum depends on the machine.
    means = np.round(weights @ ordered.T / seeds, 12)
    first = means[:, 0] >= means.max(axis=1)
    order = (np.diff(means, axis=1) <= 0.0).all(axis=1)
    return Survival(float(first.mean()), float(order.mean()))


def holm(p: ArrayLike) -> Floats:
    """(K,) p values -> (K,) adjusted ones, whose smallest false one is uniform or larger."""
    value = np.asarray(p, dtype=np.float64)
    order = np.argsort(value, kind="stable")
    adjusted = np.maximum.accumulate(value[order] * np.arange(value.size, 0, -1))
    out = np.empty(value.size)
    out[order] = np.minimum(adjusted, 1.0)
    return out
