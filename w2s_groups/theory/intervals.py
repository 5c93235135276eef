"""Intervals over independent replicates of a simulation."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import stats
from w2s_groups.theory.model import Array


def mean_interval(values: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Mean over axis 0 (independent replicates) and half-width of its Student-t interval."""
    count = len(values)
    if count < 2:
        raise InputError(f"replicates={count} give no interval: take at least 2")
    standard_error = values.std(axis=0, ddof=1) / np.sqrt(count)
    return values.mean(axis=0), stats.t.ppf(0.5 + level / 2, count - 1) * standard_error


def ratio_interval(top: Array, bottom: Array, level: float = 0.95) -> tuple[float, float, float]:
    """Ratio of means of paired (trials,) values and its delete-one jackknife t-interval.

    The closed forms are ratios of mean risks, not means of ratios, hence this estimate.
    """
    trials = top.size
    left_out = (top.sum() - top) / (bottom.sum() - bottom)
    ratio = float(top.sum() / bottom.sum())
    error = np.sqrt((trials - 1) / trials * np.sum((left_out - left_out.mean()) ** 2))
    half = float(stats.t.ppf((1 + level) / 2, trials - 1) * error)
    return ratio, ratio - half, ratio + half
