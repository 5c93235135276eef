"""Accuracy of each group, once with each of the two sources of uncertainty; or its risk."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from w2s_groups.reports.section import Section
from w2s_groups.results.format import bracket, plus_minus
from w2s_groups.results.grid import Grid, Ints
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import LEVEL, Floats, Interval, wilson


def by_group(grid: Grid) -> Section:
    """A row for each source of uncertainty and method, a column for each group."""
    means = [grid.over_points(grid.accuracy[..., g]) for g in range(len(grid.groups))]
    points = int(grid.common()[0].sum())
    ran = ~np.isnan(grid.accuracy).all(axis=-1)
    sizes = [_sizes(grid.n[..., g][ran]) for g in range(len(grid.groups))]
    rows: list[tuple[str, ...]] = []
    for m, method in enumerate(grid.methods):
        cells = []
        for mean, (least, _) in zip(means, sizes, strict=True):
            step = 1 / max(least, 1) / np.sqrt(max(points, 1))
            cells.append(plus_minus(grid.measure.interval(mean[m], step)))
        rows.append(("draws (Student t over seeds)", method_label(method), *cells))
    law = "Wilson" if grid.measure.is_share else "Student t"
    for m, method in enumerate(grid.methods):
        cells = []
        for g, (mean, (least, _)) in enumerate(zip(means, sizes, strict=True)):
            level = grid.measure.interval(mean[m]).mean
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
    half = scipy_stats.t.ppf(0.5 + LEVEL / 2, max(n - 1, 1)) * error
    low = np.maximum(level - half, 0.0)
    return Interval(level, low, level + half, np.asarray(n, dtype=np.int64))


def _sizes(n: Ints) -> tuple[int, int]:
    """Fewest and most test rows of a group over runs."""
    return (int(n.min()), int(n.max())) if n.size else (0, 0)


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
