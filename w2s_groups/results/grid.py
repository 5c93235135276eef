"""Results of one setup as arrays, ready for paired comparisons.

Axes are P points (eta_l, eta_u), M methods, S seeds, G groups. A run that failed or was never made
is NaN in every group and listed in `missing`; a group that is absent from the test set has n = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.results import risks
from w2s_groups.results.crossed import Crossed
from w2s_groups.results.measure import ACCURACY, Measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Missing(NamedTuple):
    """Runs of one method at one point that no mean contains, and why."""

    eta_l: float
    eta_u: float
    method: str
    seeds: tuple[int, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class Grid:
    """Results of one setup. accuracy: (P, M, S, G) test accuracy; n: (P, M, S, G) test images.

    measure: what `accuracy`, `pseudo` and the metrics are scores of. Under a numeric target these
    are minus the risks, in its unit, so that larger is better there too. risk_error: (P, M, S, G)
    standard error of each risk over test rows, in that unit; None of accuracies.

    seeds: (S,) of the runs; folds: (S,) split of each run, where there are several. test_share: of
    their samples that one split tests; None for one split. crossed: tested samples by identity and
    place, of crossed folds.

    groups, y, a, minority: (G,). drawn: split -> (P, S, G) realised counts, NaN where not stored.
    kept_share, kept_n: (P, M, S, G) share and size of each group in a method's kept set.
    pseudo: split -> (P, M, S, G) pseudolabel accuracy on "unlabelled" and "kept".
    upweighted: (P, M, S, G) rows of the unlabelled set that a method gave a larger weight.
    agreement: (P, M, M, S) share of test rows on which two methods decide alike, symmetric.
    chosen_by: method -> rule that chose its settings in each cell, for those that have one.
    bases: variant -> the method that it is one of. submitted: methods that were trained elsewhere
    -> their cards.
    """

    data: str
    teacher: str
    student: str
    n_l: int
    n_u: int
    points: tuple[tuple[float, float], ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    groups: tuple[str, ...]
    y: Ints
    a: Ints
    minority: NDArray[np.bool_]
    class_prior: Floats | None
    accuracy: Floats
    n: Ints
    drawn: dict[str, Floats]
    kept_share: Floats
    kept_n: Ints
    pseudo: dict[str, Floats]
    upweighted: Floats
    agreement: Floats
    missing: tuple[Missing, ...]
    chosen_by: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    submitted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    noun: str = "image"  # name of a test sample: image, text or sample
    measure: Measure = ACCURACY
    risk_error: Floats | None = None
    folds: tuple[int, ...] = ()
    test_share: float | None = None
    crossed: Crossed | None = None

    def metric(self, name: str) -> Floats:
        """(P, M, S) score of each run, an aggregate over groups, by its name in METRICS."""
        if name not in self._metrics:
            self._metrics[name] = METRICS[name](self)
        return self._metrics[name]

    @cached_property
    def _metrics(self) -> dict[str, Floats]:
        return {}

    @property
    def widening(self) -> float:
        """n_test / n_train of several splits, by which the variance of a mean is larger; else 0."""
        return 0.0 if self.test_share is None else self.test_share / (1 - self.test_share)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """(seed, fold) of each run."""
        return tuple(zip(self.seeds, self.folds, strict=True))

    @cached_property
    def lowest(self) -> Ints:
        """(P, M) the group whose mean accuracy over runs is the lowest; 0 where none is there."""
        there = np.isfinite(self.accuracy)
        some = np.maximum(there.sum(axis=2), 1)
        mean = np.where(there, self.accuracy, 0.0).sum(axis=2) / some
        return np.asarray(np.where(there.any(axis=2), mean, np.inf).argmin(axis=-1))

    def base_of(self, method: str) -> str:
        """The method that a variant is one of; the name itself for other methods."""
        return self.bases.get(method, method)

    def card(self, method: str) -> Mapping[str, Any]:
        """The card of a submitted method; empty for other methods."""
        return self.submitted.get(method, {})

    def index(self, method: str) -> int | None:
        """Position of a method, None where the table has no such method."""
        return self.methods.index(method) if method in self.methods else None

    def common(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Masks (P,) and (S,) of a block where every method that ever ran has a number.

        Means over it compare methods on the same cells. Points and seeds with the largest missing
        share are dropped first, so one failed run costs one point or one seed, not the whole grid.
        """
        ran = np.asarray(~np.isnan(self.accuracy).all(axis=-1))  # (P, M, S)
        there = np.asarray(ran[:, ran.any(axis=(0, 2))].all(axis=1))
        points, seeds = np.ones(there.shape[0], bool), np.ones(there.shape[1], bool)
        while not there[np.ix_(points, seeds)].all():
            lost = ~there & points[:, None] & seeds
            by_point, by_seed = lost.sum(axis=1) / seeds.sum(), lost.sum(axis=0) / points.sum()
            if by_point.max() >= by_seed.max():
                points[by_point.argmax()] = False
            else:
                seeds[by_seed.argmax()] = False
        return points, seeds

    def over_points(self, values: Floats) -> Floats:
        """(P, M, S) values of each run -> (M, S'), means over the points of the common block.

        The points of a seed share draws, so a seed is one observation. NaN for a method that never
        ran; S' = 0 where no block is complete.
        """
        points, seeds = self.common()
        block = values[points][:, :, seeds]
        return block.mean(axis=0) if block.size else np.empty((len(self.methods), 0))

    @cached_property
    def etas_l(self) -> tuple[float, ...]:
        """The eta_l of the points, each once and in their order."""
        return tuple(dict.fromkeys(eta_l for eta_l, _ in self.points))

    def at(self, eta_l: float) -> list[int]:
        """Positions of the points with this eta_l."""
        return [p for p, point in enumerate(self.points) if point[0] == eta_l]

    def step(self, points: int = 1) -> float:
        """Grain of a mean over points, for stats.paired_p: one row of the smallest group there is.

        The points are rounded each by itself, so that their mean has it less by their root.
        """
        if not self.measure.is_share:
            return 0.0
        n = self.n[(self.n > 0) & ~np.isnan(self.accuracy)]
        return float(1 / n.min() / np.sqrt(max(points, 1))) if n.size else 0.0

    @property
    def smallest_n(self) -> int:
        """Images in the smallest test group, 0 where a group is absent."""
        ran = ~np.isnan(self.accuracy).all(axis=-1)
        return int(self.n[ran].min()) if ran.any() else 0


def _eta_mean(eta_t: float) -> Callable[[Grid], Floats]:
    return lambda grid: risks.eta_mean(
        grid.accuracy, grid.y, grid.minority, eta_t, grid.class_prior
    )


# Aggregates over the groups of each run, (P, M, S).
METRICS: dict[str, Callable[[Grid], Floats]] = {
    "average": _eta_mean(0.5),
    # The group that is lowest on average over runs: the mean of each run's own lowest is biased.
    "worst_group": lambda grid: np.take_along_axis(
        grid.accuracy, grid.lowest[:, :, None, None], axis=-1
    )[..., 0],
    "worst_group_of_run": lambda grid: risks.worst_group(grid.accuracy),
    "best_group": lambda grid: risks.best_group(grid.accuracy),
    "minority": _eta_mean(1.0),
    "majority": _eta_mean(0.0),
    "balanced_mean": lambda grid: risks.balanced_mean(grid.accuracy),
    "sample_mean": lambda grid: risks.sample_mean(grid.accuracy, grid.n),
    "train_weighted_mean": lambda grid: risks.train_weighted_mean(
        grid.accuracy, grid.drawn["labelled"][:, None]
    ),
}
