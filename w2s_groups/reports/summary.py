"""A row for each method over the grid: means, ranks, differences."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.methods import METHODS
from w2s_groups.reports.comparisons import (
    RANKED,
    SHOWN,
    group_labels_used,
    label,
    means,
    over_grid,
    population,
    ranks,
    rising,
    runs,
    students,
    survives,
)
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import REFERENCES
from w2s_groups.results.stats import FEWEST

OTHERS = {"teacher": "gain", "w2s": "over W2S"}


def differences(grid: Grid) -> tuple[tuple[str, str], ...]:
    """(other, metric) of each paired difference that a row of this grid shows."""
    return tuple((other, metric) for other in OTHERS if other in grid.methods for metric in RANKED)


def difference_names(grid: Grid) -> tuple[str, ...]:
    """Their column names, such as `gain, worst group`."""
    return tuple(f"{OTHERS[other]}, {SHOWN[metric]}" for other, metric in differences(grid))


def summary(grid: Grid) -> Section:
    """A row a method: means over the common block, ranks, differences."""
    place = {metric: ranks(grid, metric) for metric in RANKED}
    rows = []
    for m, method in enumerate(grid.methods):
        mean = {metric: plus_minus(over_grid(grid, metric, method)) for metric in SHOWN}
        n = grid.n[:, m][~np.isnan(grid.accuracy[:, m]).all(axis=-1)]
        rows.append(
            (
                label(method, grid),
                group_labels_used(method, grid),
                mean["average"],
                place["average"].get(method) or BLANK,
                mean["worst_group"],
                place["worst_group"].get(method) or BLANK,
                str(n.min()) if n.size else BLANK,
                mean["minority"],
                mean["majority"],
                *(
                    BLANK if method == other else bracket(over_grid(grid, metric, method, other))
                    for other, metric in differences(grid)
                ),
            )
        )
    header = (
        *("method", "group labels used"),
        *("average", "rank, average"),
        *("worst group", "rank, worst group", "n"),
        *("minority", "majority"),
        *difference_names(grid),
    )
    text, up = _explanation(grid), rising(grid)
    return Section("Summary", text, header=header, rows=tuple(rows), rising=up)


def _references(grid: Grid) -> list[str]:
    """The references, without those for few networks where the table lacks them."""
    return [name for name in REFERENCES if name in grid.methods or not METHODS[name].needs_prompts]


def _explanation(grid: Grid) -> tuple[str, ...]:
    points, seeds = grid.common()
    noun, test = runs(grid)[:-1], "by paired t tests"
    if grid.test_share is not None:
        test = "by the tests that belong to the intervals"
    return (
        f"Mean over {int(points.sum())} of {count(len(grid.points), 'point')} (η_ℓ, η_u) and "
        f"{int(seeds.sum())} of {count(len(grid.seeds), noun)}: those where every method has a "
        f"number. 95 % intervals hold {population(grid)}. n is the smallest test group.",
        f"Ranks are those that the {noun}s leave open among "
        f"{count(len(students(grid)), 'student')}, without the references "
        f"({', '.join(_references(grid))}): {test} at "
        "5 % with Holm's correction over all pairs, each metric by itself; below "
        f"{FEWEST} {noun}s all of them." + _order(grid),
        "Worst group: of each point the group with the lowest mean accuracy. Each run's own lowest "
        "group would lie lower on average, since a run takes its minimum over its own noise; where "
        "groups are about equally hard, the lowest mean is still a little too low."
        if grid.measure.is_share
        else "Worst group: of each point the group with the highest mean risk.",
    )


def _order(grid: Grid) -> str:
    """How often the order of the students survives a resampling of the seeds."""
    of_runs = [means(grid, metric).values for metric in RANKED]
    names = [
        name
        for name in students(grid)
        if all(np.isfinite(values[grid.methods.index(name)]).all() for values in of_runs)
    ]
    whole = [survives(grid, metric, names)[1] if len(names) > 1 else np.nan for metric in RANKED]
    if np.isnan(whole).any():
        return ""
    average, worst = (fixed(100 * share, 0) for share in whole)
    return (
        f" When the seeds are drawn again with replacement, the whole order stays in {average} % "
        f"of resamples by average and in {worst} % by worst group."
    )
