"""Groups of crossed folds: their pooled accuracies and the lowest of them, with intervals.

The lowest pooled accuracy estimates the lowest *expected* one. The mean of each run's lowest group
is another number and lies below it: each run takes its minimum over its own noise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.results.crossed import Crossed, group_accuracy, interval, p_value, variance
from w2s_groups.results.stats import LEVEL, Floats, Interval, t_quantile

# One-sided levels. Only the lowest group's own lower end can be too high, but the upper end of
# every group near the lowest can be too low.
LOWER, UPPER = 0.975, 0.9875
# Factor of p for a difference of two worst groups, whose two ends are both at UPPER.
DOUBT = (1 - LEVEL) / (2 * (1 - UPPER))


def group_interval(crossed: Crossed) -> Interval:
    """Pooled accuracy of each group, (P, M, G), and its interval, in [0, 1]."""
    return _angular_interval(crossed, LOWER, LOWER)


def worst_group_interval(crossed: Crossed) -> Interval:
    """Lowest pooled group accuracy of each point and method, (P, M), and its interval.

    [lowest of the groups' lower ends, lowest of their upper ends], both on the scale of
    arcsin(sqrt(p)). Groups without test samples play no part; NaN where a cell of another failed.
    """
    groups, there = _angular_interval(crossed, LOWER, UPPER), _size(crossed)[:, None] > 0
    lowest = [np.where(there, end, np.inf).min(axis=-1) for end in groups[:3]]
    mean, low, high = (np.where(np.isinf(end), np.nan, end) for end in lowest)
    return Interval(mean, low, high, np.where(there, groups.n, groups.n.max()).min(axis=-1))


def worst_group_contrasts(crossed: Crossed) -> Floats:
    """(M, P, M, G): each method's mean over points of the pooled accuracy of its lowest group.

    The groups that are lowest here count as fixed. See worst_group_differences.
    """
    accuracy = group_accuracy(crossed)
    points, methods, n_groups = accuracy.shape
    # A group whose cell failed might be the lowest, so it is taken and the result is NaN.
    known = np.where(np.isnan(accuracy), -np.inf, accuracy)
    lowest = np.where(_size(crossed)[:, None] > 0, known, np.inf).argmin(axis=-1)
    chosen = np.eye(n_groups)[lowest] / points
    contrasts: Floats = np.eye(methods)[:, None, :, None] * chosen
    return contrasts


def worst_group_differences(
    crossed: Crossed, first: ArrayLike, second: ArrayLike
) -> tuple[Interval, Floats]:
    """Worst group of methods `first` minus that of `second`, (K,) numbers each; and two-sided p.

    Means over points. The delta method: the groups that are lowest here count as fixed. Where
    groups tie the lowest of them lies too low, so both ends are at the level of the upper end of
    one worst group, and p is twice as large: it is 0.05 where the interval's end is 0.
    """
    contrasts = worst_group_contrasts(crossed)
    contrast = contrasts[np.asarray(first)] - contrasts[np.asarray(second)]
    p = np.minimum(p_value(crossed, contrast) * DOUBT, 1.0)
    return interval(crossed, contrast, 1 - (1 - LEVEL) / DOUBT), p


def _size(crossed: Crossed) -> NDArray[np.int64]:
    """(P, G) test samples of each group."""
    groups = np.eye(crossed.n_groups, dtype=np.int64)[crossed.group]
    return crossed.n @ groups


def mean_over_points(per_point: Interval) -> Interval:
    """Mean over the first axis, and as its interval the mean of the ends.

    Points share identities, places and pool, so their errors go together. Where they do not, the
    mean varies less and this interval is too wide rather than too narrow.
    """
    mean, low, high = (part.mean(axis=0) for part in per_point[:3])
    return Interval(mean, low, high, per_point.n.min(axis=0))


def _angular_interval(crossed: Crossed, lower: float, upper: float) -> Interval:
    """Ends (P, M, G) of one-sided levels `lower` and `upper`."""
    accuracy = group_accuracy(crossed)
    # A point at a time: contrasts of one point need no other.
    points = [_at(crossed, p) for p in range(len(accuracy))]
    single = np.eye(accuracy[0].size).reshape(-1, 1, *accuracy.shape[1:])
    parts = [variance(point, single) for point in points]
    total = np.stack([part.total for part in parts]).reshape(accuracy.shape)
    df = np.stack([part.df for part in parts]).reshape(accuracy.shape)
    # On the logit scale the error of a group near 1 grows without bound, and a group that is far
    # from the lowest would give the lowest end. Half a sample keeps the angle off its ends.
    half = 0.5 / np.maximum(_size(crossed), 1)[:, None]
    p = np.clip(accuracy, half, 1 - half)
    angle, error = np.arcsin(np.sqrt(p)), np.sqrt(total / (p * (1 - p))) / 2
    low = _accuracy(angle - t_quantile(lower, df) * error)
    high = _accuracy(angle + t_quantile(upper, df) * error)
    low, high = np.where(accuracy == 0.0, 0.0, low), np.where(accuracy == 1.0, 1.0, high)
    mean, low, high = (np.where(np.isnan(total), np.nan, end) for end in (accuracy, low, high))
    blocks = np.where(np.isnan(total), 0, np.prod(crossed.folds)).astype(np.int64)
    return Interval(mean, low, high, blocks)


def _accuracy(angle: Floats) -> Floats:
    """The accuracy whose arcsin(sqrt(p)) is the angle, cut to [0, pi / 2]."""
    inside: Floats = np.sin(np.clip(angle, 0.0, np.pi / 2)) ** 2
    return inside


def _at(crossed: Crossed, point: int) -> Crossed:
    """The design at one point."""
    here = slice(point, point + 1)
    return replace(crossed, right=crossed.right[here], n=crossed.n[here])
