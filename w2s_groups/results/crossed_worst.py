"""Worst group of crossed folds: the lowest of the pooled group accuracies, with its interval.

It estimates the lowest *expected* group accuracy. The mean of each run's lowest group is another
number and lies below it: each run takes its minimum over its own noise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from scipy.special import expit, logit

from w2s_groups.results.crossed import Crossed, group_accuracy, variance
from w2s_groups.results.stats import Floats, Interval

# One-sided levels. Only the lowest group's own lower end can be too high, but the upper end of
# every group near the lowest can be too low.
LOWER, UPPER = 0.975, 0.9875


def worst_group_interval(crossed: Crossed) -> Interval:
    """Lowest pooled group accuracy of each point and method, (P, M), and its interval.

    [lowest of the groups' lower ends, lowest of their upper ends], both on the logit scale. Groups
    without test samples play no part; NaN where a cell of another group failed.
    """
    ends = [_point(_at(crossed, p)) for p in range(len(crossed.n))]
    return Interval(*(np.concatenate(part) for part in zip(*ends, strict=True)))


def worst_group_contrasts(crossed: Crossed) -> Floats:
    """(M, P, M, G): each method's mean over points of the pooled accuracy of its lowest group.

    The difference of the worst groups of methods a and b is the contrast [a] - [b], to give to
    crossed.interval and crossed.p_value (delta method: the groups that are lowest here count as
    fixed; docs/intervals.md has its coverage where groups tie).
    """
    accuracy = group_accuracy(crossed)
    points, methods, n_groups = accuracy.shape
    # A group whose cell failed might be the lowest, so it is taken and the result is NaN.
    known = np.where(np.isnan(accuracy), -np.inf, accuracy)
    lowest = np.where(_size(crossed)[:, None] > 0, known, np.inf).argmin(axis=-1)
    chosen = np.eye(n_groups)[lowest] / points
    contrasts: Floats = np.eye(methods)[:, None, :, None] * chosen
    return contrasts


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


def _at(crossed: Crossed, point: int) -> Crossed:
    """The design at one point."""
    here = slice(point, point + 1)
    return replace(crossed, right=crossed.right[here], n=crossed.n[here])


def _point(crossed: Crossed) -> Interval:
    """worst_group_interval of one point, (1, M)."""
    accuracy = group_accuracy(crossed)
    size = _size(crossed)[0]
    parts = variance(crossed, np.eye(accuracy.size).reshape(-1, *accuracy.shape))
    total, df = (part.reshape(accuracy.shape) for part in (parts.total, parts.df))
    # Half a sample keeps the logit finite where all are right, or all are wrong.
    half = 0.5 / np.maximum(size, 1)
    p = np.clip(accuracy, half, 1 - half)
    error = np.sqrt(total) / (p * (1 - p))
    low = expit(logit(p) - scipy_stats.t.ppf(LOWER, df) * error)
    high = expit(logit(p) + scipy_stats.t.ppf(UPPER, df) * error)
    low, high = np.where(accuracy == 0.0, 0.0, low), np.where(accuracy == 1.0, 1.0, high)
    lowest = [np.where(size > 0, end, np.inf).min(axis=-1) for end in (accuracy, low, high)]
    mean, low, high = (np.where(np.isinf(end), np.nan, end) for end in lowest)
    blocks = np.where(np.isnan(low), 0, np.prod(crossed.folds)).astype(np.int64)
    return Interval(np.where(np.isnan(low), np.nan, mean), low, high, blocks)
