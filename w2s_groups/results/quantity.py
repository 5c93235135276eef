"""Numbers of a grid with the interval that its design allows: draws, new splits, new identities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.results import crossed, crossed_worst, resampled, risks, stats
from w2s_groups.results.grid import Floats, Grid
from w2s_groups.results.stats import Interval

WORST = "worst_group"
_WEIGHTS = {"average": 0.5, "minority": 1.0, "majority": 0.0}


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number, or an array (...) of them, that follows from the accuracies of a grid.

    values: (..., S) of each run. contrast: (..., P, M, G) weights of the pooled group accuracies
    that give it, under crossed folds; None where it is no such sum. step: as in stats.paired_p.
    doubt: factor of p, crossed_worst.DOUBT for worst groups under crossed folds.
    """

    grid: Grid
    values: Floats
    contrast: Floats | None = None
    step: float = 0.0
    doubt: float = 1.0

    def __sub__(self, other: Quantity) -> Quantity:
        both = self.contrast is not None and other.contrast is not None
        contrast = self.contrast - other.contrast if both else None  # type: ignore[operator]
        step, doubt = max(self.step, other.step), max(self.doubt, other.doubt)
        return Quantity(self.grid, self.values - other.values, contrast, step, doubt)

    def mean(self, axis: int = 0) -> Quantity:
        """The mean over one of the leading axes, whose entries are of the same runs."""
        contrast = None if self.contrast is None else self.contrast.mean(axis=axis)
        step = self.step / np.sqrt(self.values.shape[axis])
        return Quantity(self.grid, self.values.mean(axis=axis), contrast, step, self.doubt)

    def at(self, index: int | list[int] | NDArray[Any]) -> Quantity:
        """One entry of the first axis, or some."""
        contrast = None if self.contrast is None else self.contrast[index]
        return Quantity(self.grid, self.values[index], contrast, self.step, self.doubt)

    def method(self, m: int) -> Quantity:
        """Of (..., M) quantities those of one method, (..., 1)."""
        contrast = None if self.contrast is None else self.contrast[..., m : m + 1, :, :, :]
        return Quantity(self.grid, self.values[..., m : m + 1, :], contrast, self.step, self.doubt)

    def difference(self) -> Interval:
        """Estimate with the interval of a difference, which has no bounds."""
        if self.contrast is not None and self.grid.crossed is not None:
            level = 1 - (1 - stats.LEVEL) / self.doubt
            return crossed.interval(self.grid.crossed, self.contrast, level)
        if self.grid.test_share is not None:
            return resampled.corrected_interval(self.values, self.grid.test_share)
        return stats.mean_interval(self.values)

    def accuracy(self) -> Interval:
        """Estimate with the interval of an accuracy, cut to [0, 1], or of a risk, cut at 0."""
        if self.grid.test_share is None:
            return self.grid.measure.interval(self.values, self.step)
        return self.grid.measure.levels(self.difference())

    def p(self) -> Floats:
        """Two-sided p (...) that it is 0; 1 where too few runs could show it."""
        if self.contrast is not None and self.grid.crossed is not None:
            p = self.doubt * crossed.p_value(self.grid.crossed, self.contrast)
            return np.where(np.isnan(p), 1.0, np.minimum(p, 1.0))
        if self.grid.test_share is not None:
            return resampled.corrected_p(self.values, self.grid.test_share)
        return stats.paired_p(self.values, self.step)

    def sign(self) -> NDArray[np.int64]:
        """1 where it is significantly above 0 at 5 %, -1 below, else 0."""
        significant = self.p() <= 1.0 - stats.LEVEL
        estimate = np.nan_to_num(self.difference().mean)
        return np.where(significant, np.sign(estimate), 0.0).astype(np.int64)


def metric(grid: Grid, name: str) -> Quantity:
    """(P, M) a metric of every point and method."""
    doubt = crossed_worst.DOUBT if name == WORST and grid.crossed is not None else 1.0
    return Quantity(grid, grid.metric(name), _contrasts(grid, name), grid.step(), doubt)


def of_group(grid: Grid, group: int) -> Quantity:
    """(P, M) the accuracy of one group."""
    weights = np.eye(len(grid.groups))[group]
    return Quantity(grid, grid.accuracy[..., group], _weighed(grid, weights), grid.step())


@lru_cache(maxsize=64)
def accuracies(grid: Grid, name: str) -> Interval:
    """(P, M) a metric of every point and method, with its interval.

    Under crossed folds the interval of the worst group allows for other groups to be the lowest.
    """
    if name == WORST and grid.crossed is not None:
        return crossed_worst.worst_group_interval(grid.crossed)
    return metric(grid, name).accuracy()


@lru_cache(maxsize=64)
def differences(grid: Grid, name: str, other: str) -> Interval:
    """(P, M) a metric of every point and method less that of `other`; NaN without such a method."""
    if other not in grid.methods:
        nan = np.full((len(grid.points), len(grid.methods)), np.nan)
        return Interval(nan, nan, nan, np.zeros(nan.shape, dtype=np.int64))
    of_all = metric(grid, name)
    return (of_all - of_all.method(grid.methods.index(other))).difference()


def _contrasts(grid: Grid, name: str) -> Floats | None:
    """(P, M, P, M, G) weights of the metric of each point and method; None where there are none."""
    if grid.crossed is None or name not in (*_WEIGHTS, WORST):
        return None
    if name == WORST:
        P, M, G = len(grid.points), len(grid.methods), len(grid.groups)
        lowest = P * crossed_worst.worst_group_contrasts(grid.crossed).sum(axis=2)  # (M, P, G)
        return _placed(np.swapaxes(lowest, 0, 1).reshape(P, M, G))
    weights = risks.group_weights(grid.y, grid.minority, _WEIGHTS[name], grid.class_prior)
    return _weighed(grid, weights)


def _weighed(grid: Grid, weights: Floats) -> Floats | None:
    """(P, M, P, M, G) the same weights (G,) at every point and method."""
    if grid.crossed is None:
        return None
    return _placed(np.broadcast_to(weights, (len(grid.points), len(grid.methods), weights.size)))


def _placed(weights: Floats) -> Floats:
    """(P, M, G) weights of each point and method -> (P, M, P, M, G), 0 elsewhere."""
    P, M, G = weights.shape
    out = np.zeros((P, M, P, M, G))
    p, m = np.ogrid[:P, :M]
    out[p, m, p, m] = weights
    return out
