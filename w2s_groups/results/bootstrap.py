"""BCa bootstrap intervals over seeds, shown beside Student t: see results/coverage.py for how far
either can be trusted at few seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from w2s_groups.results.stats import LEVEL, Floats, Interval
from w2s_groups.seeds import stream

RESAMPLES = 9999
FEWEST = 3  # two seeds have three resampled means: no distribution to take percentiles of
_NUMBERS = 4_000_000  # at most so many resampled numbers in memory at once


def bca_interval(values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean over the seed axis (..., S) and its bias-corrected and accelerated bootstrap interval.

    NaN is a missing run and left out. Fewer than FEWEST seeds have no interval; equal values have
    the point itself. Rows with as many seeds share their resamples, which follow from `seed`: a
    row's interval does not depend on the other rows. Source: Efron (1987).
    """
    value = np.asarray(values, dtype=np.float64)
    rows = value.reshape(int(np.prod(value.shape[:-1])), value.shape[-1])
    there = ~np.isnan(rows)
    n = there.sum(axis=-1)
    mean, low, high = (np.full(len(rows), np.nan) for _ in range(3))
    for size in np.unique(n[n > 0]):
        same = np.flatnonzero(n == size)
        sample = rows[same][there[same]].reshape(-1, size)
        mean[same] = sample.mean(axis=-1)
        if size < FEWEST:
            continue
        flat = np.ptp(sample, axis=-1) < 1e-12
        low[same[flat]] = high[same[flat]] = mean[same[flat]]
        if not flat.all():
            low[same[~flat]], high[same[~flat]] = _bca(sample[~flat], seed, resamples)
    shape = value.shape[:-1]
    n = n.reshape(shape).astype(np.int64)
    return Interval(mean.reshape(shape), low.reshape(shape), high.reshape(shape), n)


def _bca(sample: Floats, seed: int, resamples: int) -> tuple[Floats, Floats]:
    """Bounds of rows (R, n) that have some scatter."""
    found = scipy_stats.bootstrap(
        (sample,),
        _mean,
        axis=-1,
        n_resamples=resamples,
        batch=max(1, min(resamples, _NUMBERS // sample.size)),
        vectorized=True,
        confidence_level=LEVEL,
        method="BCa",
        random_state=stream(seed, f"results/bootstrap/{sample.shape[-1]}"),
    ).confidence_interval
    return np.asarray(found.low, dtype=np.float64), np.asarray(found.high, dtype=np.float64)


def _mean(sample: Floats, axis: int = -1) -> Floats:
    """Rounded, since BCa counts how many resampled means equal the mean.

    Sums in another order differ in their last bit, and on which side depends on the machine.
    """
    rounded: Floats = np.round(sample.mean(axis=axis), 12)
    return rounded
