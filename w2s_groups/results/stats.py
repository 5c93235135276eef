"""Aggregates over seeds with 95 % intervals; all tests are paired, since methods share their draws.

Arrays end in a seed axis (..., S). NaN is a missing run: it is left out and lowers `n`, and a pair
counts only where both sides are there. One seed has a mean and no interval; below FEWEST seeds no
test decides anything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import special
from w2s_groups.results import risks

LEVEL = 0.95
FEWEST = 3  # of two seeds, equal differences pass for certainty far too often
Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Mean, bounds of its interval (NaN where there is none) and number of seeds, each (...)."""

    mean: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]

    def at(self, index: int) -> Interval:
        """The interval at one place of the first axis."""
        return Interval(*(np.asarray(part[index]) for part in self))

    def of_method(self, m: int) -> Interval:
        """Of intervals (..., M) those of one method, (...)."""
        mean, low, high, n = (part[..., m] for part in self)
        return Interval(np.asarray(mean), np.asarray(low), np.asarray(high), np.asarray(n))

    def holds(self, value: float) -> NDArray[np.bool_]:
        """Whether the interval contains `value`; True where there is no interval to exclude it."""
        inside: NDArray[np.bool_] = ~((self.low > value) | (self.high < value))
        return inside


def mean_interval(values: ArrayLike) -> Interval:
    """Mean over the seed axis and its Student t interval."""
    value = np.asarray(values, dtype=np.float64)
    mean, scatter, n = _moments(value, value)
    half = _t(n) * np.sqrt(scatter)
    return Interval(mean, mean - half, mean + half, n)


def accuracy_interval(values: ArrayLike, step: float = 0.0) -> Interval:
    """Mean accuracy over the seed axis and its Student t interval, cut to [0, 1].

    The part that is cut off holds no accuracy, so coverage stays. step: accuracies are multiples of
    it, 1 / n of a group of n test rows. The variance over seeds is taken to be at least that of
    such rounding, step^2 / 12: three seeds with every row right do not show that all others have.
    """
    value = np.asarray(values, dtype=np.float64)
    mean, scatter, n = _moments(value, value)
    half = _t(n) * np.sqrt(np.maximum(scatter, step**2 / 12 / np.maximum(n, 1)))
    return Interval(mean, np.maximum(mean - half, 0.0), np.minimum(mean + half, 1.0), n)


def paired_p(difference: ArrayLike, step: float = 0.0) -> Floats:
    """Two-sided p (...) of the paired t test of no mean difference, over the seed axis (..., S).

    step: accuracies are multiples of it. The variance of two such roundings, step^2 / 6, is added
    to that over seeds: without it a few seeds that happen to have the same difference would be
    certain of it. NaN is a missing run; 1 below FEWEST seeds and where all differences are 0.
    """
    # Rounded: equal accuracies summed in another order are no difference.
    value = np.asarray(np.round(np.asarray(difference, np.float64), 12), dtype=np.float64)
    mean, scatter, n = _moments(value, value)
    error = np.sqrt(scatter + step**2 / 6 / np.maximum(n, 1))
    far = np.where(mean == 0.0, 0.0, np.inf)
    t = np.divide(np.abs(mean), error, out=far, where=error > 1e-12)
    p = 2 * t_tail(t, np.maximum(n - 1, 1))
    return np.asarray(np.where(n < FEWEST, 1.0, p), dtype=np.float64)


def significant_sign(difference: ArrayLike, step: float = 0.0) -> NDArray[np.int64]:
    """1 where the paired t test at 5 % finds a mean above 0, -1 below 0, else 0. See paired_p."""
    value = np.asarray(difference, dtype=np.float64)
    significant = paired_p(value, step) <= 1.0 - LEVEL
    return np.where(significant, np.sign(mean_interval(value).mean), 0.0).astype(np.int64)


def ratio_interval(numerator: ArrayLike, denominator: ArrayLike, widening: float = 0.0) -> Interval:
    """Ratio of two paired means with Fieller's interval.

    widening: n_test / n_train of several splits, see resampled.corrected_interval. NaN where the
    denominator's own interval contains 0, which is just where Fieller's set is unbounded. Source:
    Fieller (1954), Some problems in interval estimation.
    """
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    pair = np.isnan(top) | np.isnan(bottom)
    top, bottom = np.where(pair, np.nan, top), np.where(pair, np.nan, bottom)
    a, v_aa, n = _moments(top, top)
    b, v_bb, _ = _moments(bottom, bottom)
    _, v_ab, _ = _moments(top, bottom)
    t2 = _t(n) ** 2 * (1.0 + n * widening)
    # Bounds are the roots r of (a - r b)^2 = t^2 var(a - r b).
    square = np.where(b**2 > t2 * v_bb, b**2 - t2 * v_bb, np.nan)
    middle = (a * b - t2 * v_ab) / square
    inner = np.maximum(middle**2 - (a**2 - t2 * v_aa) / square, 0.0)
    ratio = np.where(np.isnan(square), np.nan, a / np.where(b == 0.0, np.nan, b))
    return Interval(ratio, middle - np.sqrt(inner), middle + np.sqrt(inner), n)


def pgr_interval(
    student: ArrayLike, teacher: ArrayLike, ceiling: ArrayLike, widening: float = 0.0
) -> Interval:
    """PGR of the mean accuracies; NaN unless ceiling - teacher is significantly positive.

    That is: its interval lies above 0, of FEWEST seeds or more. Below a gap of 0 the ratio would
    rise as the student falls.
    """
    gap = risks.gain(ceiling, teacher)
    ratio = ratio_interval(risks.gain(student, teacher), gap, widening)
    whole = mean_interval(gap)
    low = whole.mean - (whole.mean - whole.low) * np.sqrt(1.0 + whole.n * widening)
    shown = (low > 0.0) & (whole.n >= FEWEST)
    mean, low, high = (np.where(shown, part, np.nan) for part in ratio[:3])
    return Interval(mean, low, high, ratio.n)


def wilson(value: ArrayLike, n: ArrayLike) -> Interval:
    """Wilson interval of accuracies on n test rows each: what the choice of rows leaves open.

    value, n: (...); NaN where n = 0 or there is no value. `value` need not be a multiple of 1 / n:
    a mean over runs on the same n images varies with them no more than one run at that accuracy.
    Source: Wilson (1927).
    """
    p, size = np.broadcast_arrays(np.asarray(value, np.float64), np.asarray(n, dtype=np.int64))
    if (size < 0).any() or ((p < 0.0) | (p > 1.0)).any():
        raise InputError("accuracy or n of a group is out of range: needs [0, 1] and n >= 0")
    p, some = np.where(size > 0, p, np.nan), np.maximum(size, 1)
    z2 = float(special.ndtri(0.5 + LEVEL / 2)) ** 2 / some
    middle = (p + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2)
    # At 0 and 1 the bound is the value itself, which the formula misses by a bit.
    low = np.where(p == 0.0, 0.0, middle - half)
    high = np.where(p == 1.0, 1.0, middle + half)
    return Interval(p, low, high, size)


def _moments(x: Floats, y: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean of x, covariance of the two means (NaN for one seed) and n, over the last axis."""
    there = ~(np.isnan(x) | np.isnan(y))
    n = there.sum(axis=-1)
    some, freedom = np.where(n > 0, n, 1), np.where(n > 1, n - 1, 1)
    mean_x = np.where(there, x, 0.0).sum(axis=-1) / some
    mean_y = np.where(there, y, 0.0).sum(axis=-1) / some
    product = np.where(there, (x - mean_x[..., None]) * (y - mean_y[..., None]), 0.0).sum(axis=-1)
    covariance = np.where(n > 1, product / freedom / some, np.nan)
    return np.where(n > 0, mean_x, np.nan), covariance, n.astype(np.int64)


def _t(n: NDArray[np.int64]) -> Floats:
    return t_quantile(0.5 + LEVEL / 2, np.maximum(n - 1, 1))


def t_quantile(p: ArrayLike, df: ArrayLike) -> Floats:
    """Quantile p of Student's t: scipy.stats.t.ppf, without a second's import of scipy.stats."""
    quantile = special.stdtrit(np.asarray(df, np.float64), np.asarray(p, np.float64))
    return np.asarray(quantile, dtype=np.float64)


def t_tail(t: ArrayLike, df: ArrayLike) -> Floats:
    """Probability above t of Student's t: scipy.stats.t.sf."""
    below = special.stdtr(np.asarray(df, np.float64), -np.asarray(t, np.float64))
    return np.asarray(below, dtype=np.float64)
