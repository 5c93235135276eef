"""The results of a grid in sentences, each computed from the table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import (
    RANKED,
    difference,
    group_labels_used,
    over_grid,
    ranks,
    sign_over_grid,
    smallest,
    students,
    survives,
)
from w2s_groups.reports.unusual import unusual
from w2s_groups.results import quantity
from w2s_groups.results.format import bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import FEWEST, Floats

_GROUP_LABELS = {
    "none": "uses no group labels",
    "val": "uses group labels of the validation set",
    "train": "uses group labels of the training sets",
}


class _Clause(NamedTuple):
    """A method that is first by a metric: `is the best`, `on the worst group (n = 60), 0.7`."""

    metric: str
    verb: str
    where: str


def sentences(grid: Grid) -> list[str]:
    """Strength of the student, the best methods, comparisons, trend in eta_u, unusual results."""
    lines = [*_strength(grid), *_best(grid), *_comparisons(grid)]
    if {"teacher", "w2s"} <= set(grid.methods):
        lines += _trend(grid)
    seeds = int(grid.common()[1].sum())
    if not lines:
        lacks = "student to compare with a teacher" if not students(grid) else "teacher"
        lines = [f"The table holds no {lacks}."]
    elif len(grid.seeds) == 1:
        lines.append("With one seed there is no interval and no test of these differences.")
    elif seeds < FEWEST:
        lines.append(f"A test needs at least {FEWEST} seeds with all their runs; here are {seeds}.")
    return [*lines, *unusual(grid)]


def _strength(grid: Grid) -> list[str]:
    """Whether the student is the stronger model: ceiling and baseline against the teacher."""
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
    if gap.n < FEWEST:
        return [f"Whether the student is the stronger model is open: {numbers}."]
    sign = sign_over_grid(grid, "average", "ceiling", "teacher")
    if sign == 0:
        return [f"The student is not shown to be the stronger model here: {numbers}."]
    if sign < 0:
        return [
            f"On this dataset the student is not the stronger model: {numbers}. Even the ceiling "
            "is below the teacher, so W2S cannot be expected to gain."
        ]
    return [_strength_on_the_same_labels(grid, numbers)]


def _strength_on_the_same_labels(grid: Grid, numbers: str) -> str:
    """The same where the ceiling is above the teacher: it has more labels, the baseline has not."""
    if "baseline" not in grid.methods:
        return f"The student is the stronger model: {numbers}."
    difference = over_grid(grid, "average", "baseline", "teacher")
    against = (
        f"fitted on the same labelled {grid.noun}s it differs from the teacher by "
        f"{bracket(difference)}"
    )
    if sign_over_grid(grid, "average", "baseline", "teacher") < 0:
        return (
            f"On this dataset the student is not the stronger model: {against}; {numbers}, but "
            "that lead comes from more labels."
        )
    return f"The student is the stronger model: {numbers}; {against}."


def _best(grid: Grid) -> list[str]:
    """The students with the highest means, of all and of those that use no group labels."""
    of_all: dict[str, list[_Clause]] = {}
    without_groups: dict[str, list[_Clause]] = {}
    ranked = 0
    for metric in reversed(RANKED):
        names = [name for name in students(grid) if np.isfinite(over_grid(grid, metric, name).mean)]
        if len(names) < 2:
            continue
        ranked = len(names)
        blind = [name for name in names if group_labels_used(name, grid) == "none"]
        for among, firsts in ((names, of_all), (blind, without_groups)):
            if among:
                top, clause = _first(grid, metric, among)
                firsts.setdefault(top, []).append(clause)
    lines = []
    for name, clauses in of_all.items():
        labels = _GROUP_LABELS.get(group_labels_used(name, grid), "not registered here")
        subject = f"{method_label(name)} ({labels})"
        lines.append(_joined(subject, clauses, f" of {count(ranked, 'student')}"))
    for name, clauses in without_groups.items():
        if [one.metric for one in clauses] != [one.metric for one in of_all.get(name, [])]:
            subject = f"Among students without group labels, {method_label(name)}"
            lines.append(_joined(subject, clauses))
    return lines


def _first(grid: Grid, metric: str, names: list[str]) -> tuple[str, _Clause]:
    """The method with the highest mean of `names`, and how clearly it is first."""
    means = [over_grid(grid, metric, name) for name in names]
    best = int(np.argmax([float(one.mean) for one in means]))
    top = names[best]
    where = f"{_where(grid, metric)}, {plus_minus(means[best])}"
    if len(names) < 2:
        return top, _Clause(metric, "has the highest mean", where)
    place = ranks(grid, metric, names)[top]
    first, _ = survives(grid, metric, names)
    again = "" if np.isnan(first) else f"; first in {fixed(100 * first, 0)} % of seed resamples"
    if place == "1":
        return top, _Clause(metric, "is the best", f"{where} (rank 1{again})")
    open_ = f"{where} (ranks {place.replace('-', ' to ')} remain open{again})"
    return top, _Clause(metric, "has the highest mean", open_)


def _joined(subject: str, clauses: list[_Clause], of: str = "") -> str:
    """One sentence of a method's clauses, the verb once where it is the same."""
    first, *rest = clauses
    text = f"{subject} {first.verb}{of} {first.where}"
    for one in rest:
        verb = "" if one.verb == first.verb else f"{one.verb} "
        text += f", and {verb}{one.where}"
    return text + "."


def _where(grid: Grid, metric: str) -> str:
    if metric == "average":
        return "on average accuracy"
    return f"on the worst group ({smallest(grid)})"


def _comparisons(grid: Grid) -> list[str]:
    """W2S with its teacher and selective with W2S; each student with the teacher without W2S."""
    pairs = [("w2s", "teacher"), ("selective", "w2s")]
    if "w2s" not in grid.methods:
        pairs = [(name, "teacher") for name in students(grid)]
    return [_compare(grid, *pair) for pair in pairs if set(pair) <= set(grid.methods)]


def _compare(grid: Grid, method: str, other: str) -> str:
    """One sentence on both metrics, over the grid."""
    subject = method_label(method)
    name = {"teacher": "its teacher"}.get(other, method_label(other))
    verbs, numbers = [], []
    for metric in RANKED:
        whole = over_grid(grid, metric, method, other)
        if np.isnan(whole.mean):
            continue
        values = difference(grid, metric, method, other).values
        verbs.append(_verb(values, sign_over_grid(grid, metric, method, other)))
        numbers.append(f"{_where(grid, metric)}, {bracket(whole)}")
    if not numbers:
        return f"{subject} and {name} have no number in the same cells."
    if len(set(verbs)) == 1:
        return f"{subject} {verbs[0]} {name} {', and '.join(numbers)}."
    clauses = f"{verbs[0]} {name} {numbers[0]}, and {verbs[1]} it {numbers[1]}"
    return f"{subject} {clauses}."


def _verb(difference: Floats, sign: int) -> str:
    if (np.abs(difference) < 1e-12).all():
        return "equals"
    if len(difference) < FEWEST:
        return "differs from"
    return {1: "beats", -1: "falls short of", 0: "is not distinguishable from"}[sign]


def _trend(grid: Grid) -> list[str]:
    """How the W2S gain moves from the smallest to the largest eta_u, at each eta_l."""
    average = quantity.metric(grid, "average")
    of_methods = average - average.method(grid.methods.index("teacher"))
    w2s = grid.methods.index("w2s")
    gains = of_methods.values[:, w2s]
    clauses: dict[tuple[str, str], list[str]] = {}
    for eta_l in grid.etas_l:
        rows = grid.at(eta_l)
        moved = of_methods.at(rows[-1]).at(w2s) - of_methods.at(rows[0]).at(w2s)
        change = moved.difference()
        if len(rows) < 2 or np.isnan(change.mean):
            continue
        verb = "moves"
        if change.n >= FEWEST:
            verb = {1: "rises", -1: "falls", 0: "does not change significantly"}[int(moved.sign())]
        # Only seeds with both ends, so that start + change = end.
        both = np.isfinite(moved.values)
        start, end = (fixed(gains[row][both].mean(), sign=True) for row in (rows[0], rows[-1]))
        etas = (f"{grid.points[rows[0]][1]:g}", f"{grid.points[rows[-1]][1]:g}")
        clauses.setdefault(etas, []).append(
            f"{verb} at η_ℓ = {eta_l:g} ({start} to {end}, change {bracket(change)})"
        )
    return [
        f"From η_u = {low} to η_u = {high} the W2S gain on average accuracy {'; '.join(each)}."
        for (low, high), each in clauses.items()
    ]
