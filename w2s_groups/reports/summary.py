"""Aggregates over the grid: each method by itself, against others, and by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from w2s_groups.reports.format import BLANK, bounds, bracket, count, fixed, plus_minus
from w2s_groups.reports.section import Section
from w2s_groups.reports.verdict import (
    RANKED,
    REFERENCES,
    groups_told,
    over_grid,
    ranks,
    seed_means,
    smallest,
    students,
)
from w2s_groups.results.bootstrap import bca_interval
from w2s_groups.results.schema import method_label
from w2s_groups.results.stats import Floats, Interval, mean_interval, paired_gain, wilson
from w2s_groups.results.table import Grid

SHOWN = {
    "average": "average",
    "worst_group": "worst group",
    "minority": "minority",
    "majority": "majority",
}
OTHERS = {"teacher": "gain", "w2s": "over W2S"}


def differences(grid: Grid) -> tuple[tuple[str, str], ...]:
    """(other, metric) of each paired difference that a row of this grid shows."""
    return tuple((other, metric) for other in OTHERS if other in grid.methods for metric in RANKED)


def difference_names(grid: Grid) -> tuple[str, ...]:
    """Their column names, such as `gain, worst group`."""
    return tuple(f"{OTHERS[other]}, {SHOWN[metric]}" for other, metric in differences(grid))


def summary(grid: Grid) -> Section:
    """A row a method: means over the common block, ranks, the minimum's bias, differences."""
    points, seeds = grid.common()
    place = {metric: ranks(grid, metric) for metric in RANKED}
    bias = mean_interval(grid.over_points(grid.minimum_bias)).mean
    rows = []
    for m, method in enumerate(grid.methods):
        mean = {metric: plus_minus(over_grid(grid, metric, method)) for metric in SHOWN}
        n = grid.n[:, m][~np.isnan(grid.accuracy[:, m]).all(axis=-1)]
        rows.append(
            (
                method_label(method),
                groups_told(method),
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
    text = (
        f"Mean over {int(points.sum())} of {count(len(grid.points), 'point')} (η_ℓ, η_u) and "
        f"{int(seeds.sum())} of {count(len(grid.seeds), 'seed')}: those where every method has a "
        "number. n is the smallest test group.",
        f"Ranks are those that the seeds leave open among {count(len(students(grid)), 'student')}, "
        f"without the references ({', '.join(REFERENCES)}): by paired t tests at "
        "5 % with Holm's correction over all pairs, each metric by itself.",
        "Bias of the lowest: by how much the lowest of several measured group accuracies is "
        "expected to lie below the lowest true one, from the finite test groups alone. It is a "
        "plug-in estimate at the measured accuracies, not a correction: no number is shifted by "
        "it, and where groups are about equally hard the true bias is about twice as large.",
    )
    header = (
        "method",
        "group labels used",
        "average",
        "rank, average",
        "worst group",
        "rank, worst group",
        "n",
        "bias of the lowest",
        "minority",
        "majority",
        *difference_names(grid),
    )
    return Section("Summary", text, header=header, rows=tuple(rows))


def against(grid: Grid) -> list[Section]:
    """Each method against W2S and the teacher: bootstrap intervals and counts of points."""
    others = [other for other in ("w2s", "teacher") if other in grid.methods]
    values = {metric: grid.metric(metric) for metric in RANKED}
    rows, notes = [], []
    for other in others:
        for m, method in enumerate(grid.methods):
            if method == other:
                continue
            cells = []
            for metric in RANKED:
                seeds = seed_means(grid, metric, method, other)
                bca = bca_interval(seeds)
                value = values[metric]
                each = paired_gain(value[:, m], value[:, grid.methods.index(other)])
                cells += [bracket(bca), *(_counts(each, side) for side in (np.greater, np.less))]
                if materially_apart(mean_interval(seeds), bca):
                    name = f"{method_label(method)} − {method_label(other)}, {SHOWN[metric]}"
                    notes.append(f"{name}: {bounds(mean_interval(seeds))} and {bounds(bca)}")
            rows.append((method_label(other), method_label(method), *cells))
    if not rows:
        return []
    text = [
        "Paired differences over the same points and seeds as the summary, whose Student t "
        "intervals stand there; here the BCa bootstrap's over seeds. Above and below: "
        f"of {count(len(grid.points), 'point')} those where the mean over seeds is above or below, "
        "in brackets how many with their own interval off zero.",
        ("These have" if notes else "None has")
        + " materially different intervals by Student t and by BCa: one holds zero and the other "
        "does not, or BCa reaches outside by more than a tenth of t's half-width.",
    ]
    sides = ("BCa", "above", "below")
    header = (
        "against",
        "method",
        *(f"average: {side}" for side in sides),
        *(f"worst group ({smallest(grid)}): {side}" for side in sides),
    )
    title = "Every method against W2S and the teacher"
    return [Section(title, tuple(text), tuple(notes), "", header, tuple(rows), 1)]


def materially_apart(t: Interval, bca: Interval) -> bool:
    """Whether two intervals of one difference disagree about zero, or BCa shows a longer tail."""
    if np.isnan(t.low) or np.isnan(bca.low):
        return False
    slack = 0.1 * float(t.high - t.mean)
    outside = bca.low < t.low - slack or bca.high > t.high + slack
    return bool(outside or bool(t.holds(0.0)) != bool(bca.holds(0.0)))


def _counts(each: Interval, side: Callable[[Floats, float], Floats]) -> str:
    there = np.asarray(side(each.mean, 0.0), dtype=bool)
    return f"{int(there.sum())} ({int((there & ~each.holds(0.0)).sum())})"


def by_group(grid: Grid) -> Section:
    """Accuracy of each group, once with each of the two sources of uncertainty."""
    means = [grid.over_points(grid.accuracy[..., g]) for g in range(len(grid.groups))]
    ran = ~np.isnan(grid.accuracy).all(axis=-1)
    sizes = [_sizes(grid.n[..., g][ran]) for g in range(len(grid.groups))]
    draws, images = "draws (Student t over seeds)", f"test {grid.noun}s (Wilson on n)"
    rows: list[tuple[str, ...]] = []
    for source in (draws, images):
        for m, method in enumerate(grid.methods):
            cells = []
            for mean, size in zip(means, sizes, strict=True):
                whole = mean_interval(mean[m])
                if source == images:
                    whole = wilson(np.clip(whole.mean, 0.0, 1.0), size[0])
                    cells.append(bracket(whole, sign=False))
                else:
                    cells.append(plus_minus(whole))
            rows.append((source, method_label(method), *cells))
    names = []
    for name, few, (least, most) in zip(grid.groups, grid.minority, sizes, strict=True):
        n = f"n = {least}" if least == most else f"n = {least} to {most}"
        names.append(f"{name} ({'minority, ' if few else ''}{n})")
    text = (
        f"Mean over the same points and seeds as the summary, n test {grid.noun}s in the header; a "
        "blank group is absent.",
        "Two sources of uncertainty, each alone: what another draw of the labelled and unlabelled "
        f"sets would change, and what another choice of the n test {grid.noun}s would change. All "
        f"runs share the test {grid.noun}s, so more seeds do not narrow the second; for a mean "
        "over runs it is if anything too wide.",
    )
    header = ("uncertainty from", "method", *names)
    return Section("Accuracy by group", text, header=header, rows=tuple(rows), keys=1)


def _sizes(n: Sequence[int] | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[int, int]:
    """Fewest and most test images of a group over runs."""
    array = np.asarray(n)
    return (int(array.min()), int(array.max())) if array.size else (0, 0)
