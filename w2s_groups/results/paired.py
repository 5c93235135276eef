"""Exact p of a paired difference over seeds, and the number of seeds that would show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_groups.core.lazy import stats as scipy_stats
from w2s_groups.core.seeds import stream
from w2s_groups.results.stats import FEWEST, LEVEL, Floats

MOST = 1000  # seeds: nobody will measure a difference that needs more
_FLIPS = 9999  # all 2^S sign flips up to 13 seeds, else so many drawn ones


def sign_flip_p(difference: ArrayLike) -> Floats:
    """Two-sided p (...) of the sign-flip permutation test of differences (..., S) over seeds.

    Exact up to 13 seeds: the share of the 2^S ways to exchange the two methods within seeds whose
    mean difference is as far from 0. It supposes no distribution, and is never below 2 / 2^S. NaN
    where a seed is missing, or where there is none.
    """
    value = np.round(np.asarray(difference, dtype=np.float64), 12)
    out = np.full(value.shape[:-1], np.nan)
    if value.shape[-1] == 1:
        return np.where(np.isnan(value[..., 0]), np.nan, 1.0)
    there = np.isfinite(value).all(axis=-1) & (value.shape[-1] > 0)
    if there.any():
        out[there] = scipy_stats.permutation_test(
            (value[there],),
            lambda sample, axis: np.round(sample.mean(axis=axis), 12),
            permutation_type="samples",
            vectorized=True,
            n_resamples=_FLIPS,
            axis=-1,
            random_state=stream(0, f"results/sign flips/{value.shape[-1]}"),
        ).pvalue
    return out


def seeds_needed(difference: ArrayLike, step: float = 0.0, power: float = 0.8) -> int | None:
    """Fewest seeds at which the paired t test at 5 % would see a difference with this power.

    difference: (S,), whose mean and standard deviation are taken for the true ones; step as in
    stats.paired_p. MOST + 1 where MOST seeds do not suffice; None below FEWEST seeds. Source:
    the power of the t test, from the noncentral t distribution.
    """
    value = np.asarray(difference, dtype=np.float64)
    value = value[np.isfinite(value)]
    if value.size < FEWEST:
        return None
    sd = float(np.sqrt(value.var(ddof=1) + step**2 / 6))
    mean = abs(round(float(value.mean()), 12))
    if mean == 0.0:
        return MOST + 1
    # Effects above 20 are seen by 3 seeds; SciPy's distribution fails far beyond.
    effect = min(mean / sd, 20.0) if sd > 0 else 20.0
    n = np.arange(FEWEST, MOST + 1)
    bound = scipy_stats.t.ppf(0.5 + LEVEL / 2, n - 1)
    shift = effect * np.sqrt(n)
    # Far out in a tail SciPy gives NaN, now and then: for 1 above the bound, for 0 below it.
    above = scipy_stats.nct.sf(bound, n - 1, shift)
    reached = np.where(np.isnan(above) & (shift > 2 * bound), 1.0, above)
    reached += np.nan_to_num(scipy_stats.nct.cdf(-bound, n - 1, shift))
    enough = np.flatnonzero(reached >= power)
    return int(n[enough[0]]) if enough.size else MOST + 1
