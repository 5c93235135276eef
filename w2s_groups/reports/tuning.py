"""Fixed settings against tuned ones: sentences and tables of a run with trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import RANKED, SHOWN, over_grid, smallest, students
from w2s_groups.reports.rules import what_rules_cost, what_was_chosen
from w2s_groups.reports.section import Section
from w2s_groups.reports.summary import summary
from w2s_groups.reports.trials import (
    OF_RUN,
    SCALED,
    Setup,
    oracle_positions,
    rule_positions,
    values_at,
)
from w2s_groups.results.format import bracket
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.quantity import Quantity
from w2s_groups.results.select import NEEDS_GROUPS
from w2s_groups.results.stats import FEWEST, Interval

_CHOICE = {
    "labelled": "by accuracy on the labelled images: of those within one standard error of the "
    "best the nearest to its published setting at l2 = d / 1000",
    "no_groups": "the best by accuracy on the validation set",
    "val_mean": "the best by mean accuracy over the groups of the validation set",
    "val_worst": "the best by worst group of the validation set",
}
_WHERE = {"average": "average accuracy", "worst_group": "the worst group"}


def sentences(setup: Setup) -> list[str]:
    """How settings were chosen, what that costs, and where fixed settings disagree."""
    if not setup.rule:
        return []
    numbers = setup.ordered.groupby("base").size()
    trials = numbers[setup.ranked]
    given = count(int(trials.iloc[0]), "trial") if trials.nunique() == 1 else "the trials"
    reads = (
        "the group labels of validation data" if setup.rule in NEEDS_GROUPS else "no group label"
    )
    lines = [
        f"Settings are tuned. In each cell select = {setup.rule} chooses one of {given} of each of "
        f"{count(len(trials), 'ranked student')}, {_CHOICE[setup.rule]}; it reads no test image "
        f"and {reads}."
    ]
    lines.append(_cost(setup))
    if len(setup.main.seeds) >= FEWEST:
        lines += _agreement(setup)
    return lines


def _agreement(setup: Setup) -> list[str]:
    """In how many comparisons fixed and tuned settings lead to different conclusions, and which."""
    differ = disagreements(setup)
    total = 2 * len(_comparisons(setup))
    if not differ:
        return [f"Fixed and tuned settings agree in all {total} comparisons with W2S."]
    moved = sum(
        any(_sign(_change(setup, *one[:3], table)) for table in list(setup.tables)[1:])
        for one in differ
    )
    first = (
        f"Tuned and fixed settings lead to different conclusions in {len(differ)} of {total} "
        "comparisons (each student with W2S, W2S with its teacher, on both accuracies), in "
        f"{moved} of them by a change whose own interval excludes zero."
    )
    return [first] + [
        f"{_subject(name, other)} on {_WHERE[metric]}: "
        + "; ".join(f"{table} {bracket(one)}" for table, one in each.items())
        + "."
        for name, other, metric, each in differ
        if (name, other) in (("w2s", "teacher"), ("selective", "w2s"))
    ]


def _cost(setup: Setup) -> str:
    """How much worst-group accuracy the rule loses against the best trial, at each eta_l."""
    parts = []
    points, seeds = setup.main.common()
    for eta_l in setup.main.etas_l:
        rows = np.array([point[0] == eta_l for point in setup.main.points]) & points
        lost = []
        for base in setup.ranked:
            best, taken = (
                values_at(setup, OF_RUN["worst_group"], chosen)[rows][:, seeds]
                for chosen in (
                    oracle_positions(setup, base, "worst_group"),
                    rule_positions(setup, setup.rule, base),
                )
            )
            lost.append((best - taken).mean(axis=0) if rows.any() else np.empty(0))
        mean = Quantity(setup.main, np.mean(lost, axis=0)).difference()
        parts.append(f"{bracket(mean, False)} at η_ℓ = {eta_l:g}")
    return (
        f"Compared with the best of the same trials by test accuracy, which no rule can know, it "
        f"loses on the worst group ({smallest(setup.main)}) {', '.join(parts)}: means over these "
        "students."
    )


def _comparisons(setup: Setup) -> list[tuple[str, str]]:
    """(method, other): W2S with its teacher, each other student with W2S."""
    methods = setup.main.methods
    first = [("w2s", "teacher")] if {"w2s", "teacher"} <= set(methods) else []
    others = [name for name in students(setup.main) if name != "w2s"] if "w2s" in methods else []
    return [*first, *((name, "w2s") for name in others)]


@lru_cache(maxsize=8)
def disagreements(setup: Setup) -> list[tuple[str, str, str, dict[str, Interval]]]:
    """(method, other, metric, table -> difference) where the tables do not end in the same way."""
    differing = []
    for name, other in _comparisons(setup):
        for metric in RANKED:
            each = {
                table: over_grid(grid, metric, name, other) for table, grid in setup.tables.items()
            }
            if len({_sign(one) for one in each.values()}) > 1:
                differing.append((name, other, metric, each))
    return differing


def _sign(one: Interval) -> int:
    """1 or -1 where the interval lies above or below zero, 0 where the sign is open."""
    return int(one.low > 0) - int(one.high < 0)


def _subject(name: str, other: str) -> str:
    return f"{method_label(name)} − {method_label(other)}"


def inserted(of_setup: Sequence[Section], setup: Setup) -> list[Section]:
    """Sections of a setup with those on its settings: sentences first, tables after the summary."""
    first, summary_of, *rest = of_setup
    first = replace(first, bullets=(*sentences(setup), *first.bullets))
    name = next(iter(setup.tables))
    return [first, replace(summary_of, title=f"Summary: {name}"), *sections(setup), *rest]


def sections(setup: Setup) -> list[Section]:
    """The tables that stand after the summary of the first."""
    others = list(setup.tables.items())[1:]
    parts = [_summary(setup, name, grid) for name, grid in others]
    if setup.rule and len(setup.main.seeds) >= FEWEST:
        parts += _differ(setup)
    return [*parts, what_rules_cost(setup), *what_was_chosen(setup)]


def _summary(setup: Setup, name: str, grid: Grid) -> Section:
    given = [m for m in grid.methods if m not in set(setup.ordered["base"])]
    stay = f" {', '.join(map(method_label, given))}: as given, in no trial." if given else ""
    if name == SCALED:
        text = (
            "Every method with trials at its published setting and l2 = d / 1000, d the number of "
            f"features that vary; nothing is chosen.{stay}"
        )
    else:
        text = "Every method at the settings given beforehand; nothing is chosen."
    of = summary(grid)
    return replace(of, title=f"Summary: {name}", text=(text,))


def _differ(setup: Setup) -> list[Section]:
    fixed = list(setup.tables)[1:]
    rows = []
    for name, other, metric, each in disagreements(setup):
        cells = [bracket(one) for one in each.values()]
        moves = [bracket(_change(setup, name, other, metric, table)) for table in fixed]
        rows.append((_subject(name, other), SHOWN[metric], *cells, *moves))
    text = (
        "Paired differences over the points and seeds of each summary, where one table has them "
        "above or below zero and another does not; last, by how much tuning changes them, paired "
        "by seed."
    )
    moved = (f"tuned − {table}" for table in fixed)
    header = ("difference", "accuracy", *setup.tables, *moved)
    title = "Where tuned and fixed settings disagree"
    return [Section(title, (text,), header=header, rows=tuple(rows))] if rows else []


def _change(setup: Setup, name: str, other: str, metric: str, table: str) -> Interval:
    """Tuned difference less that of another table, over seeds that both have whole."""
    grids_of = (setup.main, setup.tables[table])
    blocks = [grid.common() for grid in grids_of]
    points, seeds = (np.logical_and(*(block[k] for block in blocks)) for k in (0, 1))
    tuned, fixed = (
        (value[:, grid.methods.index(name)] - value[:, grid.methods.index(other)])[points][:, seeds]
        for grid in grids_of
        for value in [grid.metric(metric)]
    )
    return Quantity(setup.main, (tuned - fixed).mean(axis=0)).difference()
