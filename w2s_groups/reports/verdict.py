"""What a grid of results says in plain words. Every sentence is computed from the table."""

from __future__ import annotations

import numpy as np

from w2s_groups.methods import METHODS
from w2s_groups.reports.format import BLANK, bounds, bracket, count, fixed, plus_minus
from w2s_groups.results.bootstrap import bca_interval
from w2s_groups.results.ranks import Ranks, rank_ranges
from w2s_groups.results.schema import method_label
from w2s_groups.results.select import base_of, told_groups
from w2s_groups.results.stats import Floats, Interval, mean_interval
from w2s_groups.results.table import Grid

REFERENCES = tuple(name for name, kind in METHODS.items() if kind.reference)
RANKED = ("average", "worst_group")
_TOLD = {
    "none": "told nothing about groups",
    "val": "told the groups of validation data",
    "train": "told the groups of training data",
}


def groups_told(method: str) -> str:
    """What a method was told about groups, by itself or by the rule that chose it.

    BLANK for methods unknown here.
    """
    known = METHODS.get(base_of(method))
    if known is None:
        return BLANK
    by_rule = known.needs_groups == "none" and told_groups(method)
    return "val" if by_rule else known.needs_groups


def students(grid: Grid) -> list[str]:
    """Methods that are ranked: references are what they are held against."""
    return [method for method in grid.methods if base_of(method) not in REFERENCES]


def seed_means(grid: Grid, metric: str, method: str, against: str | None = None) -> Floats:
    """(S',) means over the common block's points of a metric, or of its difference to `against`."""
    values = grid.over_points(grid.metric(metric))
    mean: Floats = values[grid.methods.index(method)]
    return mean if against is None else mean - values[grid.methods.index(against)]


def over_grid(grid: Grid, metric: str, method: str, against: str | None = None) -> Interval:
    """Student t interval of `seed_means`: a seed is one observation."""
    return mean_interval(seed_means(grid, metric, method, against))


def ranks(grid: Grid, metric: str) -> dict[str, str]:
    """Rank range of each student by its mean over the common block, such as `1-3`."""
    names = students(grid)
    values = grid.over_points(grid.metric(metric))
    found: Ranks = rank_ranges(values[[grid.methods.index(name) for name in names]])
    return {name: found.text(k) for k, name in enumerate(names)}


def smallest(grid: Grid) -> str:
    """`n = 250`: what stands beside every accuracy of a worst group."""
    return f"n = {grid.smallest_n}" if grid.smallest_n else f"one group without test {grid.noun}s"


def sentences(grid: Grid) -> list[str]:
    """Strength of the student, the best methods, W2S and selective retraining, trend in eta_u."""
    found = [*_strength(grid), *_best(grid)]
    for method, other in (("w2s", "teacher"), ("selective", "w2s")):
        if {method, other} <= set(grid.methods):
            found.append(_compare(grid, method, other))
    if {"teacher", "w2s"} <= set(grid.methods):
        found += _trend(grid)
    if not found:
        return ["The table holds no student to compare with a teacher."]
    if len(grid.seeds) == 1:
        found.append(
            "With one seed there is no interval and no test: none of these differences is sure."
        )
    return found


def _strength(grid: Grid) -> list[str]:
    if not {"teacher", "ceiling"} <= set(grid.methods):
        return []
    gap = over_grid(grid, "average", "ceiling", "teacher")
    if np.isnan(gap.mean):
        return ["Whether the student is the stronger model is open: no complete block of cells."]
    ceiling, teacher = (
        fixed(float(over_grid(grid, "average", name).mean)) for name in ("ceiling", "teacher")
    )
    numbers = (
        "on average accuracy the ceiling (the student on the true labels of the unlabelled set) "
        f"reaches {ceiling} and the teacher {teacher}, a gap of {bracket(gap)}"
    )
    if np.isnan(gap.low):
        return [f"Whether the student is the stronger model is open: {numbers}."]
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
    labelled = f"labelled {grid.noun}s"
    against = f"fitted on the same {labelled} it differs from the teacher by {bracket(same)}"
    if same.high < 0:
        return [
            f"On this dataset the student is not the stronger model: {against}; {numbers}, but "
            "that lead comes from more labels."
        ]
    return [f"The student is the stronger model: {numbers}; {against}."]


def _best(grid: Grid) -> list[str]:
    """The students with the highest means, how sure their rank is, and what they were told."""
    of_all: dict[str, list[str]] = {}
    untold: dict[str, list[str]] = {}
    ranked = 0
    for metric in reversed(RANKED):
        each = {name: over_grid(grid, metric, name) for name in students(grid)}
        each = {name: one for name, one in each.items() if np.isfinite(one.mean)}
        if len(each) < 2:
            continue
        ranked, place = len(each), ranks(grid, metric)
        blind = [name for name in each if groups_told(name) == "none"]
        for names, found in (([*each], of_all), (blind, untold)):
            if names:
                top = names[int(np.argmax([float(each[name].mean) for name in names]))]
                rank = f", rank {place[top]}" if place[top] else ""
                where = f"{_where(grid, metric)}, {plus_minus(each[top])}{rank}"
                found.setdefault(top, []).append(where)
    text = []
    for name, each_where in of_all.items():
        told = _TOLD.get(groups_told(name), "not registered here")
        text.append(
            f"{_sentence_case(method_label(name))}, {told}, is the best of "
            f"{count(ranked, 'student')} {', and '.join(each_where)}."
        )
    text += [
        f"Of those {_TOLD['none']} {method_label(name)} is the best {', and '.join(where)}."
        for name, where in untold.items()
        if where != of_all.get(name)
    ]
    return text


def _where(grid: Grid, metric: str) -> str:
    if metric == "average":
        return "on average accuracy"
    return f"on the worst group ({smallest(grid)})"


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def _compare(grid: Grid, method: str, other: str) -> str:
    """One sentence on both metrics, over the grid."""
    subject = _sentence_case(method_label(method))
    name = {"teacher": "its teacher"}.get(other, method_label(other))
    verbs, numbers = [], []
    for metric in RANKED:
        values = seed_means(grid, metric, method, other)
        whole, again = mean_interval(values), bca_interval(values)
        if np.isnan(whole.mean):
            continue
        verbs.append(_verb(whole))
        numbers.append(f"{_where(grid, metric)}, {bracket(whole)}")
        if not np.isnan(again.low) and bool(again.holds(0.0)) != bool(whole.holds(0.0)):
            numbers[-1] += f" (by the BCa bootstrap {bounds(again)})"
    if not numbers:
        return f"{subject} and {name} have no number in the same cells."
    if len(set(verbs)) == 1:
        return f"{subject} {verbs[0]} {name} {', and '.join(numbers)}."
    clauses = f"{verbs[0]} {name} {numbers[0]}, and {verbs[1]} it {numbers[1]}"
    return f"{subject} {clauses}."


def _verb(whole: Interval) -> str:
    if np.isnan(whole.low):
        return "differs from" if whole.mean != 0 else "equals"
    if whole.low > 0:
        return "beats"
    return "falls short of" if whole.high < 0 else "is not distinguishable from"


def _trend(grid: Grid) -> list[str]:
    """How the W2S gain moves from the smallest to the largest eta_u, at each eta_l."""
    average = grid.metric("average")
    gains = average[:, grid.methods.index("w2s")] - average[:, grid.methods.index("teacher")]
    found: dict[tuple[str, str], list[str]] = {}
    for eta_l in dict.fromkeys(point[0] for point in grid.points):
        rows = [p for p, point in enumerate(grid.points) if point[0] == eta_l]
        if len(rows) < 2:
            continue
        change = mean_interval(gains[rows[-1]] - gains[rows[0]])
        if np.isnan(change.mean):
            continue
        verb = "moves"
        if not np.isnan(change.low):
            verb = "does not measurably change"
            if not change.holds(0.0):
                verb = "rises" if change.mean > 0 else "falls"
        # The seeds of the change alone, so that start + change = end.
        both = np.isfinite(gains[rows[-1]] - gains[rows[0]])
        start, end = (fixed(gains[row][both].mean(), sign=True) for row in (rows[0], rows[-1]))
        etas = (f"{grid.points[rows[0]][1]:g}", f"{grid.points[rows[-1]][1]:g}")
        found.setdefault(etas, []).append(
            f"{verb} at η_ℓ = {eta_l:g} ({start} to {end}, change {bracket(change)})"
        )
    return [
        f"From η_u = {low} to η_u = {high} the W2S gain on average accuracy {'; '.join(clauses)}."
        for (low, high), clauses in found.items()
    ]
