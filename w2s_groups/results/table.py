"""The long table as arrays: one Grid per (data, teacher, student, n_l, n_u), ready for paired work.

Axes are P points (eta_l, eta_u), M methods, S seeds, G groups. A run that failed or was never made
is NaN in every group and listed in `missing`; a group that is absent from the test set has n = 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_groups.results import risks
from w2s_groups.results.columns import POINT, SETUP, canonical, method_order
from w2s_groups.results.worst_group_bias import minimum_bias

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

    groups, y, minority: (G,). drawn: split -> (P, S, G) realised counts, NaN where not stored.
    kept_share, kept_n: (P, M, S, G) share and size of each group in a method's kept set.
    pseudo: split -> (P, M, S, G) pseudolabel accuracy on "unlabelled" and "kept".
    upweighted: (P, M, S, G) rows of the unlabelled set that a method gave a larger weight.
    agreement: (P, M, M, S) share of test rows on which two methods decide alike, symmetric.
    chosen_by: method -> rule that chose its settings in each cell, for those that have one.
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
    noun: str = "image"  # what a test sample is called: image, text or sample

    def metric(self, name: str) -> Floats:
        """(P, M, S) accuracy aggregate of each run, by its name in METRICS."""
        value, mix = self.accuracy, (self.y, self.minority)
        labelled = self.drawn["labelled"][:, None]
        aggregates = {
            "average": lambda: risks.eta_mean(value, *mix, 0.5, self.class_prior),
            "worst_group": lambda: risks.worst_group(value),
            "best_group": lambda: risks.best_group(value),
            "minority": lambda: risks.minority_accuracy(value, *mix, self.class_prior),
            "majority": lambda: risks.majority_accuracy(value, *mix, self.class_prior),
            "balanced_mean": lambda: risks.balanced_mean(value),
            "sample_mean": lambda: risks.sample_mean(value, self.n),
            "train_weighted_mean": lambda: risks.train_weighted_mean(value, labelled),
        }
        return aggregates[name]()

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
    def minimum_bias(self) -> Floats:
        """(P, M, S) plug-in bias of each run's worst group, see results.minimum."""
        return minimum_bias(self.accuracy, self.n)

    def step(self, points: int = 1) -> float:
        """Grain of a mean over points, for stats.paired_p: one row of the smallest group there is.

        The points are rounded each by itself, so that their mean has it less by their root.
        """
        n = self.n[(self.n > 0) & ~np.isnan(self.accuracy)]
        return float(1 / n.min() / np.sqrt(max(points, 1))) if n.size else 0.0

    @property
    def smallest_n(self) -> int:
        """Images in the smallest test group, 0 where a group is absent."""
        ran = ~np.isnan(self.accuracy).all(axis=-1)
        return int(self.n[ran].min()) if ran.any() else 0


METRICS = {
    "average": "accuracy at eta_t = 1/2",
    "worst_group": "lowest group accuracy of each run",
    "best_group": "highest group accuracy of each run",
    "minority": "accuracy at eta_t = 1",
    "majority": "accuracy at eta_t = 0",
    "balanced_mean": "mean over groups",
    "sample_mean": "mean over test images",
    "train_weighted_mean": "mean over groups weighted by the labelled set's counts",
}


def grids(table: pd.DataFrame, class_prior: Sequence[float] | None = None) -> list[Grid]:
    """One Grid per setup, in order; class_prior as in risks.group_weights."""
    prior = None if class_prior is None else np.asarray(class_prior, dtype=np.float64)
    fixed = canonical(table)
    return [_grid(part, prior) for _, part in fixed.groupby(SETUP, sort=True)]


def _grid(part: pd.DataFrame, prior: Floats | None) -> Grid:
    test = part[(part["split"] == "test") & (part["metric"] == "accuracy")]
    points = tuple(sorted(set(zip(part["eta_l"], part["eta_u"], strict=True))))
    methods = method_order(test["method"])
    seeds = tuple(sorted({int(seed) for seed in part["seed"]}))
    coding = part[part["y"] >= 0].drop_duplicates("group").sort_values(["y", "a", "group"])
    groups = tuple(coding["group"])
    shape = (len(points), len(methods), len(seeds), len(groups))

    def place(rows: pd.DataFrame, column: str, empty: float) -> Floats:
        out = np.full(shape, empty, dtype=np.float64)
        rows = rows[rows["method"].isin(methods)]
        where = (
            pd.MultiIndex.from_tuples(points).get_indexer(pd.MultiIndex.from_frame(rows[POINT])),
            pd.Index(methods).get_indexer(pd.Index(rows["method"])),
            pd.Index(seeds).get_indexer(pd.Index(rows["seed"])),
            pd.Index(groups).get_indexer(pd.Index(rows["group"])),
        )
        out[where] = rows[column].to_numpy()
        return out

    def atoms(split: str, metric: str) -> pd.DataFrame:
        return part[(part["split"] == split) & (part["metric"] == metric)]

    accuracy = place(test, "value", np.nan)
    n = place(test, "n", 0).astype(np.int64)
    stored = np.asarray(place(test.assign(there=1.0), "there", 0.0).any(axis=-1))
    nan = np.isnan(accuracy)
    failed = np.asarray((nan & (n > 0)).any(axis=-1) | nan.all(axis=-1))
    accuracy[failed] = np.nan
    first = part.iloc[0]
    return Grid(
        data=str(first["data"]),
        teacher=str(first["teacher"]),
        student=str(first["student"]),
        n_l=int(first["n_l"]),
        n_u=int(first["n_u"]),
        points=points,
        methods=methods,
        seeds=seeds,
        groups=groups,
        y=coding["y"].to_numpy(dtype=np.int64),
        minority=coding["minority"].to_numpy(dtype=bool),
        class_prior=prior,
        accuracy=accuracy,
        n=n,
        drawn={
            # Counts belong to the draw, which a cell's methods share: any method's row will do.
            split: _first_there(place(atoms(split, "count"), "value", np.nan))
            for split in ("labelled", "unlabelled")
        },
        kept_share=place(atoms("kept", "fraction"), "value", np.nan),
        kept_n=place(atoms("kept", "fraction"), "n", 0).astype(np.int64),
        pseudo={
            split: place(atoms(split, "accuracy"), "value", np.nan)
            for split in ("unlabelled", "kept")
        },
        upweighted=place(atoms("upweighted", "count"), "value", np.nan),
        agreement=_agreement(atoms("agreement", "fraction"), points, methods, seeds),
        missing=_missing(points, methods, seeds, failed, stored),
    )


def _agreement(
    rows: pd.DataFrame,
    points: Sequence[tuple[float, float]],
    methods: Sequence[str],
    seeds: Sequence[int],
) -> Floats:
    """(P, M, M, S), NaN where not stored: the group column names the other method."""
    out = np.full((len(points), len(methods), len(methods), len(seeds)), np.nan)
    rows = rows[rows["method"].isin(methods) & rows["group"].isin(methods)]
    p = pd.MultiIndex.from_tuples(points).get_indexer(pd.MultiIndex.from_frame(rows[POINT]))
    one, two = (pd.Index(methods).get_indexer(pd.Index(rows[key])) for key in ("method", "group"))
    seed = pd.Index(seeds).get_indexer(pd.Index(rows["seed"]))
    out[p, one, two, seed] = out[p, two, one, seed] = rows["value"].to_numpy()
    return out


def _first_there(values: Floats) -> Floats:
    """(P, M, S, G) -> (P, S, G): the first method's number that is not NaN."""
    out = np.full((values.shape[0], *values.shape[2:]), np.nan)
    for m in range(values.shape[1]):
        out = np.where(np.isnan(out), values[:, m], out)
    return out


def _missing(
    points: Sequence[tuple[float, float]],
    methods: Sequence[str],
    seeds: Sequence[int],
    failed: NDArray[np.bool_],
    stored: NDArray[np.bool_],
) -> tuple[Missing, ...]:
    found = []
    for p, (eta_l, eta_u) in enumerate(points):
        for m, method in enumerate(methods):
            for reason, lost in (
                ("not in the table", ~stored[p, m]),
                ("no number", failed[p, m] & stored[p, m]),
            ):
                gone = tuple(seed for seed, is_lost in zip(seeds, lost, strict=True) if is_lost)
                if gone:
                    found.append(Missing(eta_l, eta_u, method, gone, reason))
    return tuple(found)
