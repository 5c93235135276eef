"""Corrected resampled t: intervals over splits whose training or test samples overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from w2s_groups.core.errors import InputError
from w2s_groups.results.stats import (
    FEWEST,
    LEVEL,
    Floats,
    Interval,
    mean_interval,
    t_quantile,
    t_tail,
)


def corrected_interval(values: ArrayLike, test_share: float) -> Interval:
    """Mean over J splits (..., J) and its corrected resampled t interval, J - 1 df.

    The variance of the mean is s^2 (1 / J + n_test / n_train): splits share samples, so their mean
    varies more than s^2 / J. test_share: n_test / (n_test + n_train) in (0, 1), 1/3 where a split
    tests a third of the identities and trains on the others. NaN is a missing split; one split has
    no interval. Source: Nadeau and Bengio (2003), Machine Learning 52, 239-281.
    """
    plain = mean_interval(values)
    wider = np.sqrt(_correction(plain, test_share))
    half = np.asarray((plain.high - plain.mean) * wider, dtype=np.float64)
    return Interval(plain.mean, plain.mean - half, plain.mean + half, plain.n)


def corrected_p(difference: ArrayLike, test_share: float) -> Floats:
    """Two-sided p (...) of no mean difference over splits (..., J); see corrected_interval.

    1 below FEWEST splits and where all differences are 0.
    """
    # Rounded: equal accuracies summed in another order are no difference.
    plain = mean_interval(np.round(np.asarray(difference, dtype=np.float64), 12))
    df = np.maximum(plain.n - 1, 1)
    error = (plain.high - plain.mean) / t_quantile(0.5 + LEVEL / 2, df)
    error = error * np.sqrt(_correction(plain, test_share))
    far = np.where(plain.mean == 0.0, 0.0, np.inf)
    t = np.divide(np.abs(plain.mean), error, out=far, where=error > 1e-12)
    p = np.where(plain.n < FEWEST, 1.0, 2 * t_tail(t, df))
    return np.asarray(p, dtype=np.float64)


def _correction(plain: Interval, test_share: float) -> Floats:
    """(...) by how much the variance of the mean exceeds s^2 / J."""
    if not 0.0 < test_share < 1.0:
        raise InputError(
            f"test_share={test_share} must lie in (0, 1): give n_test / (n_test + n_train)"
        )
    return np.asarray(1.0 + plain.n * test_share / (1.0 - test_share), dtype=np.float64)
