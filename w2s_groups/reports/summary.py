"""Aggregates over the grid: each method by itself, against others, and by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.section import Section
from w2s_groups.reports.verdict import (
    RANKED,
    REFERENCES,
    grain,
    groups_told,
    over_grid,
    ranks,
    seed_means,
    smallest,
    students,
    survives,
)
from w2s_groups.results.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.paired import MOST, seeds_needed, sign_flip_p
from w2s_groups.results.stats import (
    FEWEST,
    Floats,
    accuracy_interval,
    mean_interval,
    surely,
    wilson,
)

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
    bias = mean_interval(grid.over_points(grid.worst_group_bias)).mean
    rows = []
    for m, method in enumerate(grid.methods):
        mean = {metric: plus_minus(over_grid(grid, metric, method)) for metric in SHOWN}
        n = grid.n[:, m][~np.isnan(grid.accuracy[:, m]).all(axis=-1)]
        rows.append(
            (
                method_label(method),
                groups_told(method, grid),
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
        "5 % with Holm's correction over all pairs, each metric by itself; below "
        f"{FEWEST} seeds all of them." + _order(grid),
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


def against(grid: Grid) -> list[Section]:
    """Each method against W2S and the teacher: difference, exact p, seeds needed, points."""
    others = [other for other in ("w2s", "teacher") if other in grid.methods]
    values = {metric: grid.metric(metric) for metric in RANKED}
    rows = []
    for other in others:
        for m, method in enumerate(grid.methods):
            if method == other:
                continue
            cells = []
            for metric in RANKED:
                difference = seed_means(grid, metric, method, other)
                each = values[metric][:, m] - values[metric][:, grid.methods.index(other)]
                p = float(sign_flip_p(difference))
                cells += [
                    bracket(mean_interval(difference)),
                    fixed(p, 3 if p >= 0.001 or np.isnan(p) else 4),
                    _needed(seeds_needed(difference, grain(grid))),
                    *_counts(each, grid.step()),
                ]
            rows.append((method_label(other), method_label(method), *cells))
    if not rows:
        return []
    seeds = int(grid.common()[1].sum())
    text = (
        "Paired differences over the same points and seeds as the summary, with Student t "
        "intervals. p: two-sided, of the exact sign-flip test over seeds, not corrected for the "
        f"number of rows; with {count(seeds, 'seed')} it cannot be below {_least_p(seeds)}. Seeds "
        "for 80 %: how many would show this difference in 80 of 100 studies by the paired t test "
        "at 5 %, if its mean and its scatter over seeds are as measured.",
        f"Above and below: of {count(len(grid.points), 'point')} those where the mean over seeds "
        "is above or below, in brackets how many by a paired t test at 5 % of that point alone "
        f"(none below {FEWEST} seeds).",
    )
    sides = ("difference", "p", "seeds for 80 %", "above", "below")
    header = (
        "against",
        "method",
        *(f"average: {side}" for side in sides),
        *(f"worst group ({smallest(grid)}): {side}" for side in sides),
    )
    title = "Every method against W2S and the teacher"
    return [Section(title, text, header=header, rows=tuple(rows), keys=1)]


def _needed(seeds: int | None) -> str:
    if seeds is None:
        return BLANK
    return f"> {MOST}" if seeds > MOST else str(seeds)


def _least_p(seeds: int) -> str:
    return f"{2.0 ** (1 - seeds):.2g}" if seeds else BLANK


def _counts(difference: Floats, step: float) -> tuple[str, str]:
    """Points (P, S) with a mean above and below 0, and in brackets those that surely have."""
    mean, sure = mean_interval(difference).mean, surely(difference, step)
    above, below = (
        f"{int((np.sign(mean) == side).sum())} ({int((sure == side).sum())})" for side in (1, -1)
    )
    return above, below


def by_group(grid: Grid) -> Section:
    """Accuracy of each group, once with each of the two sources of uncertainty."""
    means = [grid.over_points(grid.accuracy[..., g]) for g in range(len(grid.groups))]
    points = int(grid.common()[0].sum())
    ran = ~np.isnan(grid.accuracy).all(axis=-1)
    sizes = [_sizes(grid.n[..., g][ran]) for g in range(len(grid.groups))]
    draws, images = "draws (Student t over seeds)", f"test {grid.noun}s (Wilson on n)"
    rows: list[tuple[str, ...]] = []
    for source in (draws, images):
        for m, method in enumerate(grid.methods):
            cells = []
            for mean, size in zip(means, sizes, strict=True):
                step = 1 / max(size[0], 1) / np.sqrt(max(points, 1))
                whole = accuracy_interval(mean[m], step)
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
