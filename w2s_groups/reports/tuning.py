"""Fixed settings against tuned ones: the tables of one run, and what each rule of choice costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_groups.methods import METHODS
from w2s_groups.reports.format import BLANK, bracket, count, plus_minus
from w2s_groups.reports.section import Section
from w2s_groups.reports.summary import SHOWN, summary
from w2s_groups.reports.verdict import RANKED, over_grid, smallest, students
from w2s_groups.results import select
from w2s_groups.results.schema import SETUP, method_label
from w2s_groups.results.select import NEEDS_GROUPS, NEEDS_VALIDATION, Rule
from w2s_groups.results.stats import Floats, Interval, mean_interval
from w2s_groups.results.table import Grid, grids
from w2s_groups.results.variants import PER_FEATURE, SCALE, Variant, of_settings, width_of

Ints = NDArray[np.int64]
SCALED = "fixed, l2 = d / 1000"
FEWEST = 3  # seeds from which two tables are said to agree or not


@dataclass(frozen=True, eq=False)
class Setup:
    """One setup of a run with trials.

    tables: name -> the setup under these settings; the first is the one that the report is about.
    whole: every trial as a method. ordered: select.order of this setup. trials: by name.
    """

    tables: dict[str, Grid]
    whole: Grid
    ordered: pd.DataFrame
    trials: dict[str, Variant]
    settings: Mapping[str, Any]
    part: pd.DataFrame

    @property
    def main(self) -> Grid:
        return next(iter(self.tables.values()))

    @property
    def tuned(self) -> bool:
        return bool(self.main.chosen_by)

    @property
    def ranked(self) -> list[str]:
        """Students with trials, in the order of the tables."""
        bases = set(self.ordered["base"])
        return [name for name in students(self.main) if name in bases]


def setups(
    table: pd.DataFrame,
    settings: Mapping[str, Any],
    found: Sequence[Grid],
    whole: Sequence[Grid],
) -> list[Setup]:
    """A Setup for each grid of a report; empty for a run without trials.

    found: as the report shows them, whole: the same with every variant as a method.
    """
    trials = {one.name: one for one in of_settings(settings) if one.trial}
    if not trials:
        return []
    priors = settings.get("class_priors")
    rule = Rule(settings.get("select", "fixed"))
    views = {_fixed(settings): select.apply(table, Rule.fixed, settings)[0]}
    views[SCALED] = select.scaled(table, settings)
    others = {name: grids(view, priors) for name, view in views.items()}
    if rule is not Rule.fixed:
        others = {f"tuned, select = {rule.value}": list(found), **others}
    ordered = select.order(table, settings)
    ordered = ordered[ordered["trial"]]
    out = []
    for k, grid in enumerate(whole):
        here = [grid.data, grid.teacher, grid.student, grid.n_l, grid.n_u]
        mask, of_order = (
            np.logical_and.reduce([of[c] == v for c, v in zip(SETUP, here, strict=True)])
            for of in (table, ordered)
        )
        tables = {name: of[k] for name, of in others.items()}
        out.append(Setup(tables, grid, ordered[of_order], trials, settings, table[mask]))
    return out


def _fixed(settings: Mapping[str, Any]) -> str:
    return f"fixed, l2 = {settings['l2']:g}" if "l2" in settings else "fixed"


def sentences(setup: Setup) -> list[str]:
    """How settings were chosen, what that leaves on the table, where fixed settings disagree."""
    if not setup.tuned:
        return []
    numbers = setup.ordered.groupby("base").size()
    trials = numbers[setup.ranked]
    given = count(int(trials.iloc[0]), "trial") if trials.nunique() == 1 else "the trials"
    rule = next(iter(setup.main.chosen_by.values()))
    reads = "the group labels of validation data" if rule in NEEDS_GROUPS else "no group label"
    lines = [
        f"Settings are tuned. In each cell select = {rule} chooses one of {given} of each of "
        f"{count(len(trials), 'ranked student')}, {_SEES[rule]}; it reads no test image and "
        f"{reads}."
    ]
    lines += _blindness(setup)
    if len(setup.main.seeds) < FEWEST:
        return lines
    differ = disagreements(setup)
    total = 2 * len(_comparisons(setup))
    if not differ:
        lines.append(f"Fixed and tuned settings agree in all {total} comparisons with W2S.")
    else:
        moved = sum(
            any(_sign(_change(setup, *one[:3], table)) for table in list(setup.tables)[1:])
            for one in differ
        )
        lines.append(
            f"Tuned and fixed settings lead to different conclusions in {len(differ)} of {total} "
            "comparisons (each student with W2S, W2S with its teacher, on both accuracies), in "
            f"{moved} of them by a change whose own interval excludes zero."
        )
        lines += [
            f"{_subject(name, other)} on {_WHERE[metric]}: "
            + "; ".join(f"{table} {bracket(one)}" for table, one in each.items())
            + "."
            for name, other, metric, each in differ
            if (name, other) in (("w2s", "teacher"), ("selective", "w2s"))
        ]
    return lines


_SEES = {
    "labelled": "by its accuracy on the labelled images",
    "no_groups": "by its accuracy on the validation set",
    "val_mean": "by its mean accuracy over the groups of the validation set",
    "val_worst": "by its worst group of the validation set",
}


_WHERE = {"average": "average accuracy", "worst_group": "the worst group"}


def _blindness(setup: Setup) -> list[str]:
    """What the rule leaves on the worst group, at each eta_l."""
    rule = next(iter(setup.main.chosen_by.values()))
    parts = []
    points, seeds = setup.main.common()
    for eta_l in dict.fromkeys(point[0] for point in setup.main.points):
        rows = np.array([point[0] == eta_l for point in setup.main.points]) & points
        lost = []
        for base in setup.ranked:
            best, taken = (
                _values(setup, "worst_group", chosen)[rows][:, seeds]
                for chosen in (_oracle(setup, base, "worst_group"), _rule(setup, rule)[base])
            )
            lost.append((best - taken).mean(axis=0) if rows.any() else np.empty(0))
        mean = mean_interval(np.mean(lost, axis=0))
        parts.append(f"{bracket(mean, False)} at η_ℓ = {eta_l:g}")
    return [
        f"Compared with the best of the same trials by test accuracy, which no rule can know, it "
        f"loses on the worst group ({smallest(setup.main)}) {', '.join(parts)}: means over these "
        "students."
    ]


def _comparisons(setup: Setup) -> list[tuple[str, str]]:
    methods = setup.main.methods
    found = [("w2s", "teacher")] if {"w2s", "teacher"} <= set(methods) else []
    others = [name for name in students(setup.main) if name != "w2s"] if "w2s" in methods else []
    return [*found, *((name, "w2s") for name in others)]


def disagreements(setup: Setup) -> list[tuple[str, str, str, dict[str, Interval]]]:
    """(method, other, metric, table -> difference) where the tables do not end in the same way."""
    found = []
    for name, other in _comparisons(setup):
        for metric in RANKED:
            each = {
                table: over_grid(grid, metric, name, other) for table, grid in setup.tables.items()
            }
            if len({_sign(one) for one in each.values()}) > 1:
                found.append((name, other, metric, each))
    return found


def _sign(one: Interval) -> int:
    """1 or -1 where the interval lies above or below zero, 0 where the sign is open."""
    return int(one.low > 0) - int(one.high < 0)


def _subject(name: str, other: str) -> str:
    label = method_label(name)
    return f"{label[0].upper()}{label[1:]} − {method_label(other)}"


def inserted(of_setup: Sequence[Section], setup: Setup) -> list[Section]:
    """Sections of a setup with those on its settings: sentences first, tables after the summary."""
    first, summary_of, *rest = of_setup
    first = replace(first, bullets=(*sentences(setup), *first.bullets))
    name = next(iter(setup.tables))
    return [first, replace(summary_of, title=f"Summary: {name}"), *sections(setup), *rest]


def sections(setup: Setup) -> list[Section]:
    """The tables that stand after the summary of the first."""
    others = list(setup.tables.items())[1:]
    found = [_summary(setup, name, grid) for name, grid in others]
    if setup.tuned and len(setup.main.seeds) >= FEWEST:
        found += _differ(setup)
    return [*found, _rules(setup), *_chosen(setup)]


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
    return mean_interval((tuned - fixed).mean(axis=0))


def _rule(setup: Setup, rule: str) -> dict[str, Ints]:
    """Method -> (P, S) the position in `whole` of what a rule takes, -1 for none."""
    chosen = select.choose(setup.part, Rule(rule), setup.ordered)
    whole = setup.whole
    found = {}
    for base in setup.ranked:
        of_base = chosen[chosen["base"] == base]
        at = np.full((len(whole.points), len(whole.seeds)), -1)
        where = (
            pd.MultiIndex.from_tuples(whole.points).get_indexer(
                pd.MultiIndex.from_frame(of_base[["eta_l", "eta_u"]])
            ),
            pd.Index(whole.seeds).get_indexer(pd.Index(of_base["seed"])),
        )
        at[where] = pd.Index(whole.methods).get_indexer(pd.Index(of_base["method"]))
        found[base] = at
    return found


def _oracle(setup: Setup, base: str, metric: str) -> Ints:
    """(P, S) position of the best trial by test; of equal ones the nearest to the published."""
    names = setup.ordered[setup.ordered["base"] == base].sort_values("rank")["method"]
    positions = pd.Index(setup.whole.methods).get_indexer(pd.Index(names))
    positions = positions[positions >= 0]
    value = setup.whole.metric(metric)[:, positions]
    best = np.where(np.isnan(value), -np.inf, value)
    return np.where(np.isneginf(best).all(axis=1), -1, positions[best.argmax(axis=1)])


def _values(setup: Setup, metric: str, at: Ints) -> Floats:
    """(P, S) values of the methods at positions `at`, NaN for -1."""
    value = np.take_along_axis(setup.whole.metric(metric), at[:, None, :], axis=1)[:, 0]
    return np.where(at < 0, np.nan, value)


def _rules(setup: Setup) -> Section:
    """What each rule would have taken, and what that costs against the best trial by test."""
    whole, (points, seeds) = setup.whole, setup.main.common()
    splits = set(setup.part["split"])
    rules = [
        rule.value
        for rule in Rule
        if rule is Rule.labelled or (rule.value in NEEDS_VALIDATION and "validation" in splits)
    ]
    taken = {rule: _rule(setup, rule) for rule in rules}
    shape = (len(whole.points), len(whole.seeds))
    rows = []
    for base in setup.ranked:
        of_base = setup.ordered[setup.ordered["base"] == base].sort_values("rank")
        scaled = of_base[of_base["at_scale"]]["method"]
        each: dict[str, Ints] = {}
        for name, method in ((_fixed(setup.settings), base), (SCALED, next(iter(scaled), base))):
            position = whole.index(method)
            each[name] = np.full(shape, -1 if position is None else position)
        for rule in rules:
            each[f"{rule} (reads groups)" if rule in NEEDS_GROUPS else rule] = taken[rule][base]
        for metric in RANKED:
            name = f"oracle: best trial by test, {SHOWN[metric]}"
            each[name] = _oracle(setup, base, metric)
        best = {m: list(each.values())[k - len(RANKED)] for k, m in enumerate(RANKED)}
        for name, at in each.items():
            cells = []
            for metric in RANKED:
                value, top = (
                    _values(setup, metric, of)[points][:, seeds].mean(axis=0)
                    for of in (at, best[metric])
                )
                lost = BLANK if at is best[metric] else bracket(mean_interval(top - value))
                cells += [plus_minus(mean_interval(value)), lost]
            there = at[np.ix_(points, seeds)]
            rows.append((method_label(base), name, *_settings(setup, base, there), *cells))
    text = (
        "Mean over the points and seeds of the first summary. Short of the oracle: by how much the "
        "best of the same trials, picked in each cell by the test images themselves, is higher. "
        "The oracle is no method: the luck of a best of so many is in it, more so for the worst "
        "group. l2 is in units of d / 1000, a geometric mean over cells; of other settings the "
        "most frequent, with the share of cells.",
    )
    average, worst = (SHOWN[metric] for metric in RANKED)
    header = (
        *("method", "rule", "l2", "other settings"),
        *(average, f"{average}, short of the oracle"),
        *(worst, f"{worst}, short of the oracle"),
    )
    return Section("What each rule chooses and costs", text, header=header, rows=tuple(rows))


def _settings(setup: Setup, base: str, at: Ints) -> tuple[str, str]:
    """Geometric mean of l2 in units of d / 1000, and the most frequent of each other setting."""
    own = dict(setup.settings.get("methods", {}).get(base) or {})
    width = width_of(
        setup.settings, [setup.main.data, setup.main.teacher, setup.main.student], base
    )
    logs, others = [], []
    for position in at[at >= 0].ravel():
        variant = setup.trials.get(setup.whole.methods[position])
        values = {} if variant is None else dict(variant.settings)
        l2 = values.get(f"l2{PER_FEATURE}")
        if l2 is None:
            absolute = values.get("l2", own.get("l2"))
            l2 = absolute / width if width and absolute else np.nan
        logs.append(np.log(float(l2) / SCALE))
        others.append(values)
    mean = float(np.exp(np.mean(logs))) if logs else np.nan
    shown = []
    for key in _others(setup, base):
        given = own.get(key.removesuffix(PER_FEATURE))
        if key.endswith(PER_FEATURE) and given is not None:
            given = given / width if width else None
        column = pd.Series([one.get(key, given) for one in others], dtype=object)
        if column.notna().any():
            top = column.value_counts().index[0]
            share = float((column == top).mean())
            shown.append(f"{_value(key, top)}" + (f" ({100 * share:.0f} %)" if share < 1 else ""))
    return (BLANK if np.isnan(mean) else f"{mean:.2g}"), ", ".join(shown) or BLANK


def _value(key: str, value: Any) -> str:
    """`keep = 0.7`; `l2_first = 10 d / 1000`."""
    if key.endswith(PER_FEATURE):
        return f"{key.removesuffix(PER_FEATURE)} = {value / SCALE:.2g} d / 1000"
    return f"{key} = {value:g}" if isinstance(value, int | float) else f"{key} = {value}"


def _others(setup: Setup, base: str) -> list[str]:
    """Settings other than l2 that a method's trials vary."""
    asked = (setup.settings.get("trials") or {}).get(base) or {}
    return [key for key, values in asked.items() if key != f"l2{PER_FEATURE}" and len(values) > 1]


def _chosen(setup: Setup) -> list[Section]:
    """How often the run's rule took each l2 and each other setting."""
    if not setup.tuned:
        return []
    rule = next(iter(setup.main.chosen_by.values()))
    chosen = select.choose(setup.part, Rule(rule), setup.ordered)
    key = f"l2{PER_FEATURE}"
    asked = [one.settings[key] for one in setup.trials.values() if key in one.settings]
    path = sorted(set(asked), reverse=True)
    rows = []
    for base in [m for m in setup.main.methods if m in set(chosen["base"])]:
        names = chosen[chosen["base"] == base]["method"]
        taken = pd.Series([setup.trials[name].settings.get(key) for name in names])
        offered = (setup.settings["trials"].get(base) or {}).get(key, [])
        cells = [str(int((taken == l2).sum())) if l2 in offered else BLANK for l2 in path]
        others = []
        for other in _others(setup, base):
            values = pd.Series([setup.trials[name].settings[other] for name in names])
            others += [
                f"{_value(other, value)}: {int((values == value).sum())}"
                for value in setup.settings["trials"][base][other]
            ]
        reference = base in METHODS and METHODS[base].reference
        trials = str(int((setup.ordered["base"] == base).sum()))
        label = method_label(base) + (" (reference)" if reference else "")
        rows.append((label, trials, *cells, ", ".join(others) or BLANK))
    text = (
        f"Cells (points × seeds) in which select = {rule} took each l2, in units of d / 1000; "
        f"{BLANK} where a method has no such trial."
    )
    header = ("method", "trials", *(f"{l2 / SCALE:g}" for l2 in path), "other settings")
    return [Section("Trials chosen", (text,), header=header, rows=tuple(rows))]
