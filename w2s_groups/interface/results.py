"""`Results`: the long table of a run with its settings, and what is made of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.reports import leaderboard as reports
from w2s_groups.reports import places, rebuild, suite
from w2s_groups.results import committed
from w2s_groups.results.format import BLANK, bracket
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.scores.of_cells import Scores
from w2s_groups.results.stats import Interval

SHOWN = ("worst_group", "average")  # metrics of a leaderboard, in order


@dataclass(frozen=True, eq=False)
class Results:
    """What `run` gives, and what `read` finds in the folder of a report.

    table: the long table, one row a record; results.columns describes its columns. settings: as in
    settings.json of a report. counts: tested samples by identity and place, of crossed splits.
    failed: a dict for each cell or method that raised, with its reason. scores: measures of the
    outputs on the test samples, of a run with store_outputs=True.
    """

    table: pd.DataFrame
    settings: Mapping[str, Any]
    counts: pd.DataFrame | None = None
    failed: Sequence[Mapping[str, Any]] = ()
    scores: Scores | None = None

    def __len__(self) -> int:
        """Number of cells."""
        return int(self.table["cell"].nunique())

    def __repr__(self) -> str:
        """The text that the command prints at the end of a run."""
        if not len(self.table):
            return f"Results: no cell; {_reason(self.failed)}"
        return reports.summary_text(self.table, self.settings, self.counts)

    def _repr_html_(self) -> str:
        return leaderboard(self)._repr_html_() if len(self.table) else repr(self)

    def grids(self) -> list[Grid]:
        """A grid of arrays for each setup; InputError where there is no cell."""
        if not len(self.table):
            raise InputError(f"no cell was finished: {_reason(self.failed)}")
        return reports.selected(self.table, self.settings, self.counts)[0]


class Leaderboard(pd.DataFrame):
    """A DataFrame whose intervals a notebook shows in one column each, with three decimals."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        shown: dict[str, Any] = {"rank": self["rank"].replace("", BLANK)}
        for prefix, metric in itertools.product(("", "gain_"), SHOWN):
            name = f"{prefix}{metric}"
            ends = self[[name, f"{name}_low", f"{name}_high"]].to_numpy()
            known = [
                bracket(Interval(row[0], row[1], row[2], np.zeros(1, np.int64)), sign=bool(prefix))
                for row in ends
            ]
            shown[name.replace("_", " ")] = known
        rest = {name: self[name] for name in ("group labels used", "tuned")}
        return str(pd.DataFrame({**shown, **rest}, index=self.index).to_html(border=0))


def leaderboard(results: Results) -> Leaderboard:
    """One row a method: students by worst-group accuracy, the best first, then the references.

    Columns: rank (the ranks that paired tests with Holm's correction leave open, such as 1-3; empty
    for references), and for worst_group, average, gain_worst_group, gain_average (over the teacher)
    the mean over points and setups with the ends of its 95 % interval (_low, _high), group labels
    used (none, val, train), tuned (trials a cell, itself, or fixed). Accuracies are shares; of a
    numeric target, risks. What an interval covers follows from the splits of the run:
    docs/intervals.md.
    """
    rows = suite.standings(results.grids(), results.settings)
    made = [
        {
            "method": method_label(row.method),
            "rank": row.rank["worst_group"],
            **_numbers("", row.mean),
            **_numbers("gain_", row.gain),
            "group labels used": row.labels,
            "tuned": row.tuned,
        }
        for row in rows
    ]
    return Leaderboard(pd.DataFrame(made).set_index("method"))


def report(results: Results, folder: str | Path) -> Path:
    """Write the report of a run into a folder, the page that the command writes; returns its path.

    leaderboard.html is the page; leaderboard.md, leaderboard.csv, the figures, results.csv.gz and
    settings.json go with it. Raises InputError where the folder holds the report of another run.
    """
    to = Path(folder)
    held = places.held(to)
    if held is not None and places.question(held) != places.question(results.settings):
        keys = list(places.apart(places.question(results.settings), places.question(held)))
        raise InputError(
            f"{to} holds the report of another run ({', '.join(keys[:4]) or 'unreadable'} differ); "
            "name another folder"
        )
    results.grids()  # refuses an empty table before anything is written
    reports.write(results.table, results.settings, to, results.counts, results.scores)
    return to / "leaderboard.html"


def read(folder: str | Path) -> Results:
    """The results in the folder of a report; InputError where it holds none."""
    table, settings, counts = rebuild.load(Path(folder))
    scores = committed.read_scores(Path(folder))
    return Results(table, settings, counts, settings.get("failed", ()), scores)


def _numbers(prefix: str, of: Mapping[str, Interval]) -> dict[str, float]:
    """Mean and ends of the intervals of each metric, the worst group first."""
    ends = zip(("", "_low", "_high"), range(3), strict=True)
    return {
        f"{prefix}{metric}{suffix}": float(of[metric][k])
        for metric, (suffix, k) in itertools.product(SHOWN, ends)
    }


def _reason(failed: Sequence[Mapping[str, Any]]) -> str:
    return str(failed[0].get("reason", failed[0])) if failed else "the table is empty"
