"""Comparisons of methods over a whole grid, each with its interval and its test over seeds."""

from __future__ import annotations

import numpy as np

from w2s_groups.results.format import BLANK
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import REFERENCES, group_labels
from w2s_groups.results.ranks import rank_ranges, survival
from w2s_groups.results.select import NEEDS_GROUPS
from w2s_groups.results.stats import (
    FEWEST,
    Floats,
    Interval,
    mean_interval,
    significant_sign,
)

RANKED = ("average", "worst_group")
SHOWN = {
    "average": "average",
    "worst_group": "worst group",
    "minority": "minority",
    "majority": "majority",
}


def rising(grid: Grid) -> tuple[str, ...]:
    """Columns of SHOWN of which the lowest number is the best."""
    return () if grid.measure.is_share else tuple(SHOWN.values())


def group_labels_used(method: str, grid: Grid) -> str:
    """Group labels that a method uses, itself or through the rule that chose its settings.

    "none", "val" (of the validation set), "train" (of the training sets); BLANK for methods that
    are not registered.
    """
    own = group_labels(grid.base_of(method))
    return "val" if own == "none" and grid.chosen_by.get(method) in NEEDS_GROUPS else own or BLANK


def students(grid: Grid) -> list[str]:
    """Methods that are ranked: all but the references."""
    return [method for method in grid.methods if grid.base_of(method) not in REFERENCES]


def seed_means(grid: Grid, metric: str, method: str, other: str | None = None) -> Floats:
    """(S',) mean scores over the common block's points, or their difference to those of `other`."""
    values = grid.over_points(grid.metric(metric))
    mean: Floats = values[grid.methods.index(method)]
    return mean if other is None else mean - values[grid.methods.index(other)]


def grain(grid: Grid) -> float:
    """Step of a mean over the common block's points, see stats.paired_p."""
    return grid.step(int(grid.common()[0].sum()))


def over_grid(grid: Grid, metric: str, method: str, other: str | None = None) -> Interval:
    """Student t interval of `seed_means`: a seed is one observation. Levels without `other`."""
    values = seed_means(grid, metric, method, other)
    return grid.measure.interval(values, grain(grid)) if other is None else mean_interval(values)


def sign_over_grid(grid: Grid, metric: str, method: str, other: str) -> int:
    """1: significantly above, -1: below, 0: neither, by the paired t test over the grid."""
    return int(significant_sign(seed_means(grid, metric, method, other), grain(grid)))


def ranks(grid: Grid, metric: str, names: list[str] | None = None) -> dict[str, str]:
    """Rank range of each of `names`, by default all students, over the common block: `1-3`."""
    names = students(grid) if names is None else names
    ranges = rank_ranges(_means_of(grid, metric, names), grain(grid))
    return {name: ranges.text(k) for k, name in enumerate(names)}


def survives(grid: Grid, metric: str, names: list[str]) -> tuple[float, float]:
    """Shares of resamples of the seeds in which the first of `names`, and their order, stay.

    NaN below FEWEST seeds.
    """
    values = _means_of(grid, metric, names)
    return survival(values) if values.shape[-1] >= FEWEST else (np.nan, np.nan)


def smallest(grid: Grid) -> str:
    """`n = 250`: the size that is shown with every accuracy of a worst group."""
    return f"n = {grid.smallest_n}" if grid.smallest_n else f"one group without test {grid.noun}s"


def _means_of(grid: Grid, metric: str, names: list[str]) -> Floats:
    """(len(names), S') means over the common block's points."""
    return grid.over_points(grid.metric(metric))[[grid.methods.index(name) for name in names]]
