"""What a grid of results says in plain words. Every sentence is computed from the table."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.methods import METHODS
from w2s_groups.methods.variants import base_of
from w2s_groups.reports.unusual import unusual
from w2s_groups.results.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.ranks import rank_ranges, survival
from w2s_groups.results.select import NEEDS_GROUPS
from w2s_groups.results.stats import (
    FEWEST,
    Floats,
    Interval,
    accuracy_interval,
    mean_interval,
    surely,
)

REFERENCES = tuple(name for name, kind in METHODS.items() if kind.reference)
RANKED = ("average", "worst_group")
_TOLD = {
    "none": "told nothing about groups",
    "val": "told the groups of validation data",
    "train": "told the groups of training data",
}


def groups_told(method: str, grid: Grid) -> str:
    """What a method was told about groups, by itself or by the rule that chose its settings.

    BLANK for methods unknown here.
    """
    known = METHODS.get(base_of(method))
    if known is None:
        return BLANK
    rule = grid.chosen_by.get(method, "")
    by_rule = known.needs_groups == "none" and rule in NEEDS_GROUPS
    return "val" if by_rule else known.needs_groups


def students(grid: Grid) -> list[str]:
    """Methods that are ranked: references are what they are held against."""
    return [method for method in grid.methods if base_of(method) not in REFERENCES]


def seed_means(grid: Grid, metric: str, method: str, against: str | None = None) -> Floats:
    """(S',) means over the common block's points of a metric, or of its difference to `against`."""
    values = grid.over_points(grid.metric(metric))
    mean: Floats = values[grid.methods.index(method)]
    return mean if against is None else mean - values[grid.methods.index(against)]


def grain(grid: Grid) -> float:
    """Step of a mean over the common block's points, see stats.paired_p."""
    return grid.step(int(grid.common()[0].sum()))


def over_grid(grid: Grid, metric: str, method: str, against: str | None = None) -> Interval:
    """Student t interval of `seed_means`: a seed is one observation."""
    values = seed_means(grid, metric, method, against)
    return accuracy_interval(values, grain(grid)) if against is None else mean_interval(values)


def verdict(grid: Grid, metric: str, method: str, against: str) -> int:
    """1: surely above, -1: surely below, 0: open, by the paired t test over the grid."""
    return int(surely(seed_means(grid, metric, method, against), grain(grid)))


def ranks(grid: Grid, metric: str, names: list[str] | None = None) -> dict[str, str]:
    """Rank range of each of `names`, by default all students, over the common block: `1-3`."""
    names = students(grid) if names is None else names
    values = grid.over_points(grid.metric(metric))[[grid.methods.index(name) for name in names]]
    found = rank_ranges(values, grain(grid))
    return {name: found.text(k) for k, name in enumerate(names)}


def survives(grid: Grid, metric: str, names: list[str]) -> tuple[float, float]:
    """Shares of resamples of the seeds in which the first of `names`, and their order, stay.

    NaN below FEWEST seeds.
    """
    values = grid.over_points(grid.metric(metric))[[grid.methods.index(name) for name in names]]
    return survival(values) if values.shape[-1] >= FEWEST else (np.nan, np.nan)


def smallest(grid: Grid) -> str:
    """`n = 250`: what stands beside every accuracy of a worst group."""
    return f"n = {grid.smallest_n}" if grid.smallest_n else f"one group without test {grid.noun}s"


def sentences(grid: Grid) -> list[str]:
    """Strength of the student, the best methods, comparisons, trend in eta_u, what is off."""
    found = [*_strength(grid), *_best(grid)]
    pairs = [("w2s", "teacher"), ("selective", "w2s")]
    if "w2s" not in grid.methods:
        pairs = [(name, "teacher") for name in students(grid)]
    found += [_compare(grid, *pair) for pair in pairs if set(pair) <= set(grid.methods)]
    if {"teacher", "w2s"} <= set(grid.methods):
        found += _trend(grid)
    seeds = int(grid.common()[1].sum())
    if not found:
        lacks = "student to compare with a teacher" if not students(grid) else "teacher"
        found = [f"The table holds no {lacks}."]
    elif len(grid.seeds) == 1:
        found.append(
            "With one seed there is no interval and no test: none of these differences is sure."
        )
    elif seeds < FEWEST:
        found.append(
            f"A verdict needs at least {FEWEST} seeds with all their runs; here are {seeds}."
        )
    return [*found, *unusual(grid)]


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
    if gap.n < FEWEST:
        return [f"Whether the student is the stronger model is open: {numbers}."]
    sure = verdict(grid, "average", "ceiling", "teacher")
    if sure < 1:
        if sure == 0:
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
    if verdict(grid, "average", "baseline", "teacher") < 0:
        return [
            f"On this dataset the student is not the stronger model: {against}; {numbers}, but "
            "that lead comes from more labels."
        ]
    return [f"The student is the stronger model: {numbers}; {against}."]


def _best(grid: Grid) -> list[str]:
    """The students with the highest means, which ranks stay open, and what they were told."""
    of_all: dict[str, list[tuple[str, str, str]]] = {}  # (metric, verb, where) of each first one
    untold: dict[str, list[tuple[str, str, str]]] = {}
    ranked = 0
    for metric in reversed(RANKED):
        each = {name: over_grid(grid, metric, name) for name in students(grid)}
        each = {name: one for name, one in each.items() if np.isfinite(one.mean)}
        if len(each) < 2:
            continue
        ranked = len(each)
        blind = [name for name in each if groups_told(name, grid) == "none"]
        for names, found in (([*each], of_all), (blind, untold)):
            if names:
                top = names[int(np.argmax([float(each[name].mean) for name in names]))]
                verb, surety = _surety(grid, metric, top, names)
                where = f"{_where(grid, metric)}, {plus_minus(each[top])}{surety}"
                found.setdefault(top, []).append((metric, verb, where))
    text = []
    for name, clauses in of_all.items():
        told = _TOLD.get(groups_told(name, grid), "not registered here")
        subject = f"{_sentence_case(method_label(name))}, {told},"
        text.append(_joined(subject, clauses, f" of {count(ranked, 'student')}"))
    text += [
        _joined(f"Of those {_TOLD['none']} {method_label(name)}", clauses)
        for name, clauses in untold.items()
        if [one[0] for one in clauses] != [one[0] for one in of_all.get(name, [])]
    ]
    return text


def _surety(grid: Grid, metric: str, top: str, names: list[str]) -> tuple[str, str]:
    """What may be said of the highest mean of `names`, and why."""
    if len(names) < 2:
        return "has the highest mean", ""
    place = ranks(grid, metric, names)[top]
    first, _ = survives(grid, metric, names)
    again = "" if np.isnan(first) else f"; first in {fixed(100 * first, 0)} % of seed resamples"
    if place == "1":
        return "is the best", f" (rank 1{again})"
    return "has the highest mean", f" (ranks {place.replace('-', ' to ')} remain open{again})"


def _joined(subject: str, clauses: list[tuple[str, str, str]], of: str = "") -> str:
    """One sentence of a method's (metric, verb, where), the verb once where it is the same."""
    (_, verb, where), *rest = clauses
    text = f"{subject} {verb}{of} {where}"
    for _, other, more in rest:
        text += f", and {more}" if other == verb else f", and {other} {more}"
    return text + "."


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
        whole = mean_interval(values)
        if np.isnan(whole.mean):
            continue
        verbs.append(_verb(values, verdict(grid, metric, method, other)))
        numbers.append(f"{_where(grid, metric)}, {bracket(whole)}")
    if not numbers:
        return f"{subject} and {name} have no number in the same cells."
    if len(set(verbs)) == 1:
        return f"{subject} {verbs[0]} {name} {', and '.join(numbers)}."
    clauses = f"{verbs[0]} {name} {numbers[0]}, and {verbs[1]} it {numbers[1]}"
    return f"{subject} {clauses}."


def _verb(difference: Floats, sure: int) -> str:
    if (np.abs(difference) < 1e-12).all():
        return "equals"
    if len(difference) < FEWEST:
        return "differs from"
    return {1: "beats", -1: "falls short of", 0: "is not distinguishable from"}[sure]


def _trend(grid: Grid) -> list[str]:
    """How the W2S gain moves from the smallest to the largest eta_u, at each eta_l."""
    average = grid.metric("average")
    gains = average[:, grid.methods.index("w2s")] - average[:, grid.methods.index("teacher")]
    found: dict[tuple[str, str], list[str]] = {}
    for eta_l in dict.fromkeys(point[0] for point in grid.points):
        rows = [p for p, point in enumerate(grid.points) if point[0] == eta_l]
        if len(rows) < 2:
            continue
        moved = gains[rows[-1]] - gains[rows[0]]
        change = mean_interval(moved)
        if np.isnan(change.mean):
            continue
        verb = "moves"
        if change.n >= FEWEST:
            sure = int(surely(moved, grid.step()))
            verb = {1: "rises", -1: "falls", 0: "does not measurably change"}[sure]
        # The seeds of the change alone, so that start + change = end.
        both = np.isfinite(moved)
        start, end = (fixed(gains[row][both].mean(), sign=True) for row in (rows[0], rows[-1]))
        etas = (f"{grid.points[rows[0]][1]:g}", f"{grid.points[rows[-1]][1]:g}")
        found.setdefault(etas, []).append(
            f"{verb} at η_ℓ = {eta_l:g} ({start} to {end}, change {bracket(change)})"
        )
    return [
        f"From η_u = {low} to η_u = {high} the W2S gain on average accuracy {'; '.join(clauses)}."
        for (low, high), clauses in found.items()
    ]
