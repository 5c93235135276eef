"""A row for each method over the grid: means, ranks, bias of the lowest group, differences."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import (
    RANKED,
    SHOWN,
    group_labels_used,
    over_grid,
    ranks,
    rising,
    students,
    survives,
)
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import REFERENCES, method_label
from w2s_groups.results.stats import FEWEST, mean_interval

OTHERS = {"teacher": "gain", "w2s": "over W2S"}


def differences(grid: Grid) -> tuple[tuple[str, str], ...]:
    """(other, metric) of each paired difference that a row of this grid shows."""
    return tuple((other, metric) for other in OTHERS if other in grid.methods for metric in RANKED)


def difference_names(grid: Grid) -> tuple[str, ...]:
    """Their column names, such as `gain, worst group`."""
    return tuple(f"{OTHERS[other]}, {SHOWN[metric]}" for other, metric in differences(grid))


def summary(grid: Grid) -> Section:
    """A row a method: means over the common block, ranks, bias of the lowest, differences."""
    place = {metric: ranks(grid, metric) for metric in RANKED}
    bias = mean_interval(grid.over_points(grid.worst_group_bias)).mean
    rows = []
    for m, method in enumerate(grid.methods):
        mean = {metric: plus_minus(over_grid(grid, metric, method)) for metric in SHOWN}
        n = grid.n[:, m][~np.isnan(grid.accuracy[:, m]).all(axis=-1)]
        rows.append(
            (
                method_label(method),
                group_labels_used(method, grid),
                mean["average"],
                place["average"].get(method) or BLANK,
                mean["worst_group"],
                place["worst_group"].get(method) or BLANK,
                str(n.min()) if n.size else BLANK,
                fixed(float(bias[m]), sign=True),
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
        *("worst group", "rank, worst group", "n", "bias of the lowest"),
        *("minority", "majority"),
        *difference_names(grid),
    )
    text, up = _explanation(grid), rising(grid)
    return Section("Summary", text, header=header, rows=tuple(rows), rising=up)


def _explanation(grid: Grid) -> tuple[str, ...]:
    points, seeds = grid.common()
    return (
        f"Mean over {int(points.sum())} of {count(len(grid.points), 'point')} (η_ℓ, η_u) and "
        f"{int(seeds.sum())} of {count(len(grid.seeds), 'seed')}: those where every method has a "
        "number. n is the smallest test group.",
        f"Ranks are those that the seeds leave open among {count(len(students(grid)), 'student')}, "
        f"without the references ({', '.join(REFERENCES)}): by paired t tests at "
        "5 % with Holm's correction over all pairs, each metric by itself; below "
        f"{FEWEST} seeds all of them." + _order(grid),
        "Bias of the lowest: by how much the lowest of several measured group accuracies is "
        "expected to lie below the lowest true one, only because test groups are finite. It is a "
        "plug-in estimate at the measured accuracies, not a correction: no number is shifted by "
        "it, and where groups are about equally hard the true bias is about twice as large."
        if grid.measure.is_share
        else "Bias of the lowest: not estimated for risks.",
    )


def _order(grid: Grid) -> str:
    """How often the order of the students survives a resampling of the seeds."""
    means = {metric: grid.over_points(grid.metric(metric)) for metric in RANKED}
    names = [
        name
        for name in students(grid)
        if all(np.isfinite(mean[grid.methods.index(name)]).all() for mean in means.values())
    ]
    whole = [survives(grid, metric, names)[1] if len(names) > 1 else np.nan for metric in RANKED]
    if np.isnan(whole).any():
        return ""
    average, worst = (fixed(100 * share, 0) for share in whole)
    return (
        f" When the seeds are drawn again with replacement, the whole order stays in {average} % "
        f"of resamples by average and in {worst} % by worst group."
    )
