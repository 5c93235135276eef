"""One setup of a run with trials: its tables, and the trial that each rule takes in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.methods.variants import Variant, by_name
from w2s_groups.reports.comparisons import students
from w2s_groups.results import select
from w2s_groups.results.columns import SETUP
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids, run_positions
from w2s_groups.results.select import Rule
from w2s_groups.results.stats import Floats

Ints = NDArray[np.int64]
SCALED = "fixed, l2 = d / 1000"


@dataclass(frozen=True, eq=False)
class Setup:
    """One setup of a run with trials.

    tables: name -> the setup under these settings; the first is the one that the report is about.
    whole: every trial as a method. ordered: select.order of this setup. trials: by name. settings:
    of the run. part: its rows of the long table.
    """

    tables: dict[str, Grid]
    whole: Grid
    ordered: pd.DataFrame
    trials: dict[str, Variant]
    settings: Mapping[str, Any]
    part: pd.DataFrame

    @property
    def main(self) -> Grid:
        """The first table."""
        return next(iter(self.tables.values()))

    @property
    def rule(self) -> str:
        """The rule that chose the settings of the first table; empty for none."""
        return next(iter(self.main.chosen_by.values()), "")

    @property
    def ranked(self) -> list[str]:
        """Students with trials, in the order of the tables."""
        bases = set(self.ordered["base"])
        return [name for name in students(self.main) if name in bases]


def setups(
    table: pd.DataFrame,
    settings: Mapping[str, Any],
    shown: Sequence[Grid],
    whole: Sequence[Grid],
) -> list[Setup]:
    """A Setup for each grid of a report; empty for a run without trials.

    shown: as the report shows them, whole: the same with every variant as a method.
    """
    trials = {name: one for name, one in by_name(settings).items() if one.trial}
    if not trials:
        return []
    priors = settings.get("class_priors")
    rule = Rule(settings.get("select", "fixed"))
    views = {fixed_name(settings): select.apply(table, Rule.fixed, settings)[0]}
    views[SCALED] = select.scaled(table, settings)
    others = {name: grids(view, priors) for name, view in views.items()}
    if rule is not Rule.fixed:
        others = {f"tuned, select = {rule.value}": list(shown), **others}
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


def fixed_name(settings: Mapping[str, Any]) -> str:
    """Name of the table of the settings given beforehand."""
    return f"fixed, l2 = {settings['l2']:g}" if "l2" in settings else "fixed"


@lru_cache(maxsize=256)
def rule_positions(setup: Setup, rule: str, base: str) -> Ints:
    """(P, S) the position in `whole` of the trial that a rule takes of a method, -1 for none."""
    whole = setup.whole
    ordered = setup.ordered[setup.ordered["base"] == base]
    chosen = select.choose(setup.part, Rule(rule), ordered)
    at = np.full((len(whole.points), len(whole.seeds)), -1)
    points = pd.MultiIndex.from_frame(chosen[["eta_l", "eta_u"]])
    where = (
        pd.MultiIndex.from_tuples(whole.points).get_indexer(points),
        run_positions(whole.runs, chosen),
    )
    at[where] = pd.Index(whole.methods).get_indexer(pd.Index(chosen["method"]))
    return at


# A choice in each run is judged by the run's own lowest group.
OF_RUN = {"worst_group": "worst_group_of_run"}


def oracle_positions(setup: Setup, base: str, metric: str) -> Ints:
    """(P, S) position of the best trial by test; of equal ones the nearest to the published."""
    names = setup.ordered[setup.ordered["base"] == base].sort_values("rank")["method"]
    positions = pd.Index(setup.whole.methods).get_indexer(pd.Index(names))
    positions = positions[positions >= 0]
    if not positions.size:
        return np.full((len(setup.whole.points), len(setup.whole.seeds)), -1)
    value = setup.whole.metric(OF_RUN.get(metric, metric))[:, positions]
    best = np.where(np.isnan(value), -np.inf, value)
    return np.where(np.isneginf(best).all(axis=1), -1, positions[best.argmax(axis=1)])


def values_at(setup: Setup, metric: str, at: Ints) -> Floats:
    """(P, S) values of the methods at positions `at`, NaN for -1."""
    of_runs = at[:, None, :, None]
    accuracy = np.take_along_axis(setup.whole.accuracy, of_runs, axis=1)
    accuracy = np.where(of_runs < 0, np.nan, accuracy)
    return replace(setup.whole, methods=("taken",), accuracy=accuracy).metric(metric)[:, 0]
