"""The first screen: one sentence, the ranked table, a scatter of all methods, where W2S helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from w2s_groups.reports import suite
from w2s_groups.reports.page import helps, papers, scatter
from w2s_groups.reports.page.axes import pixel
from w2s_groups.reports.page.downloads import downloads
from w2s_groups.reports.page.html import render
from w2s_groups.reports.page.terms import pieces
from w2s_groups.reports.suite import Standing
from w2s_groups.results.format import BLANK, bounds, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import Interval

BAR = 60  # pixels of a bar

# Columns after the method: title, direction of the first sorting, whether they hold words.
_COLUMNS = (
    ("rank", "ascending", ""),
    ("worst group", "descending", ""),
    ("average", "descending", ""),
    ("gain, worst group", "descending", ""),
    ("gain, average", "descending", ""),
    ("group labels used", "ascending", "words"),
    ("tuned", "ascending", "words"),
)


class Column(NamedTuple):
    """A column: its name, direction of the first sorting, CSS class."""

    name: str
    first: str
    kind: str


class Number(NamedTuple):
    """value: what a column is sorted by, "" for none. rest: the interval."""

    value: str
    shown: str
    rest: str


class Row(NamedTuple):
    """A method. url: of its paper, "" for one of this suite. bar: low, middle, high in pixels."""

    name: str
    url: str
    source: str
    cells: list[Number]
    bar: tuple[str, str, str] | None
    labels: str
    tuned: str


def draw(grids: Sequence[Grid], settings: Mapping[str, Any], names: Sequence[str]) -> Markup:
    """HTML of the first screen; empty without a grid. names: of the setups, as the tabs show."""
    if not grids:
        return Markup()
    rows = suite.standings(grids, settings)
    ends = _ends(rows)
    bodies = [[_row(one, grids, ends) for one in rows if one.reference is kind]
              for kind in (False, True)]  # fmt: skip
    columns = [Column(*column) for column in _COLUMNS]
    up = {} if grids[0].measure.is_share else dict.fromkeys(("worst group", "average"), "ascending")
    columns = [column._replace(first=up.get(column.name, column.first)) for column in columns]
    bases = [_base(grids, row.method) for row in rows]
    over = suite.data_names(grids)
    return render(
        "front",
        sentence=suite.sentence(rows, grids),
        notes=suite.absent(grids, settings),
        explanation=pieces(suite.explanation(grids), set()),
        over=f"{len(over)} data sets" if len(over) > 1 else over[0],
        columns=columns,
        bodies=[body for body in bodies if body],
        references=sum(row.reference for row in rows),
        labels=sorted({row.labels for row in rows}),
        downloads=downloads(rows, bases),
        metric=grids[0].measure.label,
        scatter=scatter.draw(rows, grids[0].measure.label),
        helps=helps.draw(grids, names),
        bar=BAR,
    )


def _base(grids: Sequence[Grid], method: str) -> str:
    return next(grid.base_of(method) for grid in grids if method in grid.methods)


def _ends(rows: Sequence[Standing]) -> tuple[float, float]:
    """Range of the bars: every interval of the worst group."""
    ends = [float(v) for row in rows for v in row.mean["worst_group"][:3] if np.isfinite(v)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    return low, high if high > low else low + 1e-3


def _row(row: Standing, grids: Sequence[Grid], ends: tuple[float, float]) -> Row:
    base = _base(grids, row.method)
    paper = next(iter(papers.of_method(base)), None)
    rank = row.rank["worst_group"]
    cells = [
        Number(rank.partition("-")[0], rank or BLANK, ""),
        *(_number(row.mean[metric], False) for metric in ("worst_group", "average")),
        *(_number(row.gain[metric], True) for metric in ("worst_group", "average")),
    ]
    return Row(
        row.label,
        paper.url if paper else row.card.get("url", ""),
        paper.title if paper else row.card.get("summary", ""),
        cells,
        _bar(row.mean["worst_group"], ends),
        row.labels,
        row.tuned,
    )


def _number(one: Interval, sign: bool) -> Number:
    """The mean and its interval as short as it can be: half a width, or bounds of a gain."""
    mean, low, high = (float(part) for part in one[:3])
    if np.isnan(mean):
        return Number("", BLANK, "")
    rest = ""
    if np.isfinite(low):
        rest = f"± {fixed(high - mean)}" if abs(high - 2 * mean + low) < 1e-9 else bounds(one, sign)
    return Number(fixed(mean, 9), fixed(mean, sign=sign), rest)


def _bar(one: Interval, ends: tuple[float, float]) -> tuple[str, str, str] | None:
    if np.isnan(one.mean):
        return None
    low, high = (float(end) if np.isfinite(end) else float(one.mean) for end in (one.low, one.high))
    at = [4 + (value - ends[0]) / (ends[1] - ends[0]) * (BAR - 8)
          for value in (low, float(one.mean), high)]  # fmt: skip
    first, middle, last = map(pixel, at)
    return first, middle, last
