"""Comparisons of methods over a whole grid, each with its interval and its test over seeds."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from w2s_groups.results import quantity
from w2s_groups.results.crossed_worst import mean_over_points
from w2s_groups.results.format import BLANK
from w2s_groups.results.grid import Grid, Ints
from w2s_groups.results.method_facts import REFERENCES, group_labels, method_label
from w2s_groups.results.quantity import Quantity
from w2s_groups.results.ranks import of_tests, pairs, rank_ranges, survival
from w2s_groups.results.select import NEEDS_GROUPS
from w2s_groups.results.stats import FEWEST, Interval

RANKED = ("average", "worst_group")
SUBMITTED = " (submitted)"  # after the name of a method that was trained elsewhere
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
    own = grid.card(method).get("group_labels_used") or group_labels(grid.base_of(method))
    return "val" if own == "none" and grid.chosen_by.get(method) in NEEDS_GROUPS else own or BLANK


def students(grid: Grid) -> list[str]:
    """Methods that are ranked: all but the references."""
    return [method for method in grid.methods if not is_reference(method, grid)]


def is_reference(method: str, grid: Grid) -> bool:
    """Whether a method is there to be compared with, and so is not ranked."""
    return grid.base_of(method) in REFERENCES or bool(grid.card(method).get("reference"))


def label(method: str, grid: Grid) -> str:
    """Name of a method in a table, which marks those that were trained elsewhere."""
    return f"{method_label(method)}{SUBMITTED if grid.card(method) else ''}"


@lru_cache(maxsize=64)
def means(grid: Grid, metric: str) -> Quantity:
    """(M,) means of a metric over the points, and the runs, of the common block.

    The points of a run share draws, so a run is one observation.
    """
    points, runs = grid.common()
    of_points = quantity.metric(grid, metric).at(points)
    block = replace(of_points, values=of_points.values[..., runs])
    if not block.values.size:
        return Quantity(grid, np.empty((len(grid.methods), 0)), step=grid.step())
    return block.mean()


def grain(grid: Grid) -> float:
    """Step of a mean over the common block's points, see stats.paired_p; 0 for several splits."""
    return 0.0 if grid.test_share is not None else grid.step(int(grid.common()[0].sum()))


def difference(grid: Grid, metric: str, method: str, other: str) -> Quantity:
    """Mean of a metric over the common block, less that of another method."""
    of_all = means(grid, metric)
    return of_all.at(grid.methods.index(method)) - of_all.at(grid.methods.index(other))


def over_grid(grid: Grid, metric: str, method: str, other: str | None = None) -> Interval:
    """Mean of a metric over the common block, or its difference to `other`, with its interval."""
    m = grid.methods.index(method)
    return (_accuracies(grid, metric) if other is None else _tested(grid, metric, other)[0]).at(m)


def sign_over_grid(grid: Grid, metric: str, method: str, other: str) -> int:
    """1: significantly above, -1: below, 0: neither, at 5 % over the grid."""
    return int(_tested(grid, metric, other)[1][grid.methods.index(method)])


@lru_cache(maxsize=64)
def _accuracies(grid: Grid, metric: str) -> Interval:
    """(M,) means over the common block with their intervals."""
    if metric == quantity.WORST and grid.crossed is not None:
        points = grid.common()[0]
        mean, low, high, n = quantity.accuracies(grid, metric)
        return mean_over_points(Interval(mean[points], low[points], high[points], n[points]))
    return means(grid, metric).accuracy()


@lru_cache(maxsize=64)
def _tested(grid: Grid, metric: str, other: str) -> tuple[Interval, Ints]:
    """(M,) differences to `other` over the common block, and their signs at 5 %."""
    of_all = means(grid, metric)
    apart = of_all - of_all.method(grid.methods.index(other))
    return apart.difference(), apart.sign()


def at_point(grid: Grid, metric: str, p: int, method: str, other: str | None = None) -> Interval:
    """A metric of a method at one point, or its difference to `other`, with its interval."""
    of_all = (
        quantity.accuracies(grid, metric)
        if other is None
        else quantity.differences(grid, metric, other)
    )
    return of_all.at(p).at(grid.methods.index(method))


def ranks(grid: Grid, metric: str, names: list[str] | None = None) -> dict[str, str]:
    """Rank range of each of `names`, by default all students, over the common block: `1-3`."""
    names = students(grid) if names is None else names
    of_names = means(grid, metric).at(_positions(grid, names))
    if grid.test_share is None:
        ranges = rank_ranges(of_names.values, of_names.step)
        return {name: ranges.text(k) for k, name in enumerate(names)}
    there = np.isfinite(of_names.values).all(axis=-1) & (of_names.values.shape[-1] > 0)
    first, second = pairs(there)
    tested = of_names.at(first) - of_names.at(second)
    ranges = of_tests(there, tested.p(), tested.difference().mean)
    return {name: ranges.text(k) for k, name in enumerate(names)}


def survives(grid: Grid, metric: str, names: list[str]) -> tuple[float, float]:
    """Shares of resamples of the seeds in which the first of `names`, and their order, stay.

    NaN below FEWEST seeds, and for several splits, which share samples.
    """
    values = means(grid, metric).values[_positions(grid, names)]
    if values.shape[-1] < FEWEST or grid.test_share is not None:
        return np.nan, np.nan
    return survival(values)


def runs(grid: Grid) -> str:
    """What means are over: `seeds`, or `splits`, each with its own draw."""
    return "seeds" if grid.test_share is None else "splits"


def population(grid: Grid) -> str:
    """What intervals speak of, after `95 % intervals`."""
    if grid.test_share is None:
        return "over seeds"
    if grid.crossed is None:
        return "over splits into pool and test"
    if grid.crossed.audits:
        return "for new identities, places, pools and draws"
    return "for new identities, places and draws from this pool"


def smallest(grid: Grid) -> str:
    """`n = 250`: the size that is shown with every accuracy of a worst group."""
    return f"n = {grid.smallest_n}" if grid.smallest_n else f"one group without test {grid.noun}s"


def _positions(grid: Grid, names: list[str]) -> list[int]:
    return [grid.methods.index(name) for name in names]
