"""The choice of each rule among the trials of a method, and its cost against the best trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.methods.variants import L2, PER_FEATURE, SCALE, width_of
from w2s_groups.reports.comparisons import RANKED, SHOWN
from w2s_groups.reports.section import Section
from w2s_groups.reports.trials import (
    OF_RUN,
    SCALED,
    Ints,
    Setup,
    fixed_name,
    oracle_positions,
    rule_positions,
    values_at,
)
from w2s_groups.results import select
from w2s_groups.results.format import BLANK, bracket, plus_minus
from w2s_groups.results.method_facts import REFERENCES, method_label
from w2s_groups.results.quantity import Quantity
from w2s_groups.results.select import NEEDS_GROUPS, NEEDS_VALIDATION, Rule


def what_rules_cost(setup: Setup) -> Section:
    """A row a method and rule: the settings taken, both accuracies and how far below the oracle."""
    points, seeds = setup.main.common()
    rows = []
    for base in setup.ranked:
        oracles = {metric: oracle_positions(setup, base, metric) for metric in RANKED}
        of_oracles = {f"oracle: best trial by test, {SHOWN[m]}": at for m, at in oracles.items()}
        for name, at in {**_taken(setup, base), **of_oracles}.items():
            cells = []
            for metric, best in oracles.items():
                judged = OF_RUN.get(metric, metric)
                value, here, top = (
                    values_at(setup, by, of)[points][:, seeds].mean(axis=0)
                    for by, of in ((metric, at), (judged, at), (judged, best))
                )
                of_runs = Quantity(setup.main, value), Quantity(setup.main, top - here)
                taken, lost = (one.difference() for one in of_runs)
                cells += [plus_minus(taken), BLANK if at is best else bracket(lost)]
            there = at[np.ix_(points, seeds)]
            rows.append((method_label(base), name, *_settings(setup, base, there), *cells))
    text = (
        "Mean over the points and seeds of the first summary. Short of the oracle: by how much the "
        "best of the same trials, chosen in each cell by the test images themselves, is higher, "
        "for the worst group by each run's own lowest group. The oracle is not a method: it holds "
        "the luck of a best of so many, more so for the worst group. l2 is in units of d / 1000, a "
        "geometric mean over cells; of other settings the most frequent, with the share of cells.",
    )
    average, worst = (SHOWN[metric] for metric in RANKED)
    header = (
        *("method", "rule", "l2", "other settings"),
        *(average, f"{average}, short of the oracle"),
        *(worst, f"{worst}, short of the oracle"),
    )
    return Section("What each rule chooses and costs", text, header=header, rows=tuple(rows))


def _taken(setup: Setup, base: str) -> dict[str, Ints]:
    """Rule -> (P, S) the position in `whole` of what it takes, without the oracles."""
    whole = setup.whole
    shape = (len(whole.points), len(whole.seeds))
    of_base = setup.ordered[setup.ordered["base"] == base].sort_values("rank")
    scaled = next(iter(of_base[of_base["at_scale"]]["method"]), base)
    taken = {}
    for name, method in ((fixed_name(setup.settings), base), (SCALED, scaled)):
        position = whole.index(method)
        taken[name] = np.full(shape, -1 if position is None else position)
    validated = "validation" in set(setup.part["split"])
    for rule in Rule:
        if rule is Rule.labelled or (validated and rule.value in NEEDS_VALIDATION):
            name = f"{rule.value} (uses group labels)" if rule.value in NEEDS_GROUPS else rule.value
            taken[name] = rule_positions(setup, rule.value, base)
    return taken


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
        l2 = values.get(L2)
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
    return [key for key, values in asked.items() if key != L2 and len(values) > 1]


def what_was_chosen(setup: Setup) -> list[Section]:
    """How often the run's rule took each l2 and each other setting."""
    if not setup.rule:
        return []
    chosen = select.choose(setup.part, Rule(setup.rule), setup.ordered)
    asked = [one.settings[L2] for one in setup.trials.values() if L2 in one.settings]
    path = sorted(set(asked), reverse=True)
    rows = []
    for base in [m for m in setup.main.methods if m in set(chosen["base"])]:
        names = chosen[chosen["base"] == base]["method"]
        taken = pd.Series([setup.trials[name].settings.get(L2) for name in names])
        offered = (setup.settings["trials"].get(base) or {}).get(L2, [])
        cells = [str(int((taken == l2).sum())) if l2 in offered else BLANK for l2 in path]
        others = []
        for other in _others(setup, base):
            values = pd.Series([setup.trials[name].settings[other] for name in names])
            others += [
                f"{_value(other, value)}: {int((values == value).sum())}"
                for value in setup.settings["trials"][base][other]
            ]
        reference = base in REFERENCES
        trials = str(int((setup.ordered["base"] == base).sum()))
        label = method_label(base) + (" (reference)" if reference else "")
        rows.append((label, trials, *cells, ", ".join(others) or BLANK))
    text = (
        f"Cells (points × seeds) in which select = {setup.rule} took each l2, in units of "
        f"d / 1000; {BLANK} where a method has no such trial."
    )
    header = ("method", "trials", *(f"{l2 / SCALE:g}" for l2 in path), "other settings")
    return [Section("Trials chosen", (text,), header=header, rows=tuple(rows))]
