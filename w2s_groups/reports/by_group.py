"""Accuracy of each group, once with each of the two sources of uncertainty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from w2s_groups.reports.section import Section
from w2s_groups.results import quantity
from w2s_groups.results.format import bracket, plus_minus
from w2s_groups.results.grid import Grid, Ints
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.quantity import Quantity
from w2s_groups.results.stats import LEVEL, Floats, Interval, t_quantile, wilson

_SOURCES = ("draws (Student t over seeds)", "identities, places, pools and draws")


def by_group(grid: Grid) -> Section:
    """A row for each source of uncertainty and method, a column for each group."""
    means = [_mean(grid, g) for g in range(len(grid.groups))]
    ran = ~np.isnan(grid.accuracy).all(axis=-1)
    sizes = [_sizes(grid.n[..., g][ran]) for g in range(len(grid.groups))]
    rows: list[tuple[str, ...]] = []
    for m, method in enumerate(grid.methods):
        cells = [plus_minus(mean.at(m).accuracy()) for mean in means]
        rows.append((_SOURCES[grid.test_share is not None], method_label(method), *cells))
    law = "Wilson" if grid.measure.is_share else "Student t"
    for m, method in enumerate(grid.methods):
        cells = []
        for g, (mean, (least, _)) in enumerate(zip(means, sizes, strict=True)):
            level = mean.at(m).accuracy().mean
            cells.append(bracket(_over_tests(grid, level, m, g, least), sign=False))
        rows.append((f"test {grid.noun}s ({law} on n)", method_label(method), *cells))
    names = [
        f"{name} ({'minority, ' if few else ''}n = {_range(*size)})"
        for name, few, size in zip(grid.groups, grid.minority, sizes, strict=True)
    ]
    text = (
        f"Mean over the same points and seeds as the summary, n test {grid.noun}s in the header; a "
        "blank group is absent.",
        "Two sources of uncertainty, one at a time: what another draw of the labelled and "
        f"unlabelled sets would change, and what another choice of the n test {grid.noun}s would "
        f"change. All runs share the test {grid.noun}s, so more seeds do not narrow the second; "
        "for a mean over runs it is if anything too wide.",
    )
    header = ("uncertainty from", "method", *names)
    title = f"{grid.measure.metric.capitalize()} by group"
    return Section(title, text, header=header, rows=tuple(rows), keys=1)


def _over_tests(grid: Grid, level: Floats, m: int, g: int, n: int) -> Interval:
    """What another choice of the n test rows of a group leaves open of a method's mean level."""
    if grid.risk_error is None:
        return wilson(np.clip(level, 0.0, 1.0), n)
    error = grid.over_points(grid.risk_error[..., g])[m].mean()
    half = t_quantile(0.5 + LEVEL / 2, max(n - 1, 1)) * error
    low = np.maximum(level - half, 0.0)
    return Interval(level, low, level + half, np.asarray(n, dtype=np.int64))


def _mean(grid: Grid, g: int) -> Quantity:
    """(M,) mean accuracy of a group over the common block."""
    points, runs = grid.common()
    of_points = quantity.of_group(grid, g).at(points)
    sizes = grid.n[..., g][grid.n[..., g] > 0]
    step = 1 / int(sizes.min()) if sizes.size else 0.0
    return replace(of_points, values=of_points.values[..., runs], step=step).mean()


def _sizes(n: Ints) -> tuple[int, int]:
    """Fewest and most test rows of a group over runs."""
    return (int(n.min()), int(n.max())) if n.size else (0, 0)


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
