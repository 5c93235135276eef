"""What a grid of results says in plain words. Every sentence is computed from the table."""

from __future__ import annotations

import numpy as np

from w2s_groups.reports.format import bracket, count, fixed
from w2s_groups.results.schema import method_label
from w2s_groups.results.stats import Interval, mean_interval, paired_gain
from w2s_groups.results.table import Grid

REFERENCES = ("teacher", "baseline", "ceiling")
_WHERE = {"average": "on average accuracy", "worst_group": "on the worst group"}


def over_grid(grid: Grid, metric: str, method: str, against: str | None = None) -> Interval:
    """Mean over the common block of points of a metric, or of its difference to `against`.

    The points of a seed share draws, so a seed is one observation.
    """
    points, seeds = grid.common()
    value = grid.metric(metric)[:, grid.methods.index(method)]
    if against is not None:
        value = value - grid.metric(metric)[:, grid.methods.index(against)]
    block = value[np.ix_(points, seeds)]
    return mean_interval(block.mean(axis=0) if block.size else np.full(0, np.nan))


def sentences(grid: Grid) -> list[str]:
    """The verdict on one grid: strength of the student, each student method, the trend in eta_u."""
    found = [*_strength(grid)]
    students = [method for method in grid.methods if method not in REFERENCES]
    for method in students:
        against = [name for name in ("teacher", "w2s") if name in grid.methods and name != method]
        for other in against:
            found += [_compare(grid, metric, method, other) for metric in _WHERE]
        if "baseline" in grid.methods:
            found.append(_compare(grid, "average", method, "baseline"))
    if {"teacher", "w2s"} <= set(grid.methods):
        found += _trend(grid)
    return found or ["The table holds no student to compare with a teacher."]


def _strength(grid: Grid) -> list[str]:
    if not {"teacher", "ceiling"} <= set(grid.methods):
        return []
    gap = over_grid(grid, "average", "ceiling", "teacher")
    ceiling, teacher = (
        fixed(float(over_grid(grid, "average", name).mean)) for name in ("ceiling", "teacher")
    )
    numbers = (
        "on average accuracy the ceiling (the student on the true labels of the unlabelled set) "
        f"reaches {ceiling} and the teacher {teacher}, a gap of {bracket(gap)}"
    )
    if np.isnan(gap.low):
        return [f"Whether the student is the stronger model is open: {numbers}; {_why_none(gap)}."]
    if not gap.low > 0:
        if not gap.high < 0:
            return [f"The student is not shown to be the stronger model here: {numbers}."]
        return [
            f"On this dataset the student is not the stronger model: {numbers}. Even the ceiling "
            "is below the teacher, so there is no strength for W2S to bring out."
        ]
    if "baseline" not in grid.methods:
        return [f"The student is the stronger model: {numbers}."]
    same = over_grid(grid, "average", "baseline", "teacher")
    against = f"fitted on the same labelled images it differs from the teacher by {bracket(same)}"
    if same.high < 0:
        return [
            f"On this dataset the student is not the stronger model: {against}; {numbers}, but "
            "that lead comes from more labels."
        ]
    return [f"The student is the stronger model: {numbers}; {against}."]


def _compare(grid: Grid, metric: str, method: str, other: str) -> str:
    whole = over_grid(grid, metric, method, other)
    pair = grid.metric(metric)
    each = paired_gain(pair[:, grid.methods.index(method)], pair[:, grid.methods.index(other)])
    names = {"teacher": "its teacher", "baseline": "the baseline on the labelled images alone"}
    name = names.get(other, method_label(other))
    subject = method_label(method)[0].upper() + method_label(method)[1:]
    if np.isnan(whole.low):
        verb = f"cannot be told from {name} by an interval ({_why_none(whole)})"
    elif whole.low > 0:
        verb = f"beats {name}"
    elif whole.high < 0:
        verb = f"falls short of {name}"
    else:
        verb = f"is not distinguishable from {name}"
    total = int(np.isfinite(each.mean).sum())
    if total == 0:
        return f"{subject} has no number to compare with {name} {_WHERE[metric]}."
    up, down = each.mean > 0, each.mean < 0
    sure = ~each.holds(0.0)
    counts = f"above in {int(up.sum())} of {count(total, 'point')}"
    counts += f" ({int((up & sure).sum())} with the interval off zero)"
    counts += f", below in {int(down.sum())} ({int((down & sure).sum())})"
    return f"{subject} {verb} {_WHERE[metric]}: {bracket(whole)} over the grid; {counts}."


def _trend(grid: Grid) -> list[str]:
    """How the W2S gain moves from the smallest to the largest eta_u, for each eta_l."""
    average = grid.metric("average")
    gains = average[:, grid.methods.index("w2s")] - average[:, grid.methods.index("teacher")]
    found = []
    for eta_l in dict.fromkeys(point[0] for point in grid.points):
        rows = [p for p, point in enumerate(grid.points) if point[0] == eta_l]
        if len(rows) < 2:
            continue
        first, last = gains[rows[0]], gains[rows[-1]]
        change = mean_interval(last - first)
        if np.isnan(change.mean):
            continue
        verb = "moves"
        if not np.isnan(change.low):
            verb = "does not measurably change"
            if not change.holds(0.0):
                verb = "rises" if change.mean > 0 else "falls"
        ends = [fixed(float(mean_interval(end).mean), sign=True) for end in (first, last)]
        etas = [f"{grid.points[row][1]:g}" for row in (rows[0], rows[-1])]
        found.append(
            f"At η_ℓ = {eta_l:g} the W2S gain on average accuracy {verb} from η_u = {etas[0]} "
            f"({ends[0]}) to η_u = {etas[1]} ({ends[1]}): change {bracket(change)}."
        )
    return found


def _why_none(interval: Interval) -> str:
    return "one seed: no interval" if int(interval.n) == 1 else "no complete block of cells"
