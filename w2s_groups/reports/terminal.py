"""The ranked table and the verdict of a report as plain ASCII text for a terminal."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from w2s_groups.core.text import WIDTH, count, wrapped
from w2s_groups.reports import suite
from w2s_groups.reports.comparisons import (
    at_point,
    over_grid,
    population,
    runs,
    smallest,
    students,
)
from w2s_groups.reports.suite import Standing
from w2s_groups.reports.verdict import sentences
from w2s_groups.results import quantity
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Interval

_HEADS = ("rank", "worst group", "average", "gain, worst", "gain, average")
LOPSIDED = 1.5  # one half of an interval against the other, from which on both ends are shown
_ASCII = {
    "η_ℓ": "eta_l",
    "η_u": "eta_u",
    "η_t": "eta_t",
    "±": "+-",
    "→": "->",
    BLANK: "-",
    "−": "-",
}


def columns() -> int:
    """Width of the terminal, WIDTH where it is not known."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def terminal(
    grids: Sequence[Grid],
    settings: Mapping[str, Any],
    of_settings: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """A row a method, sorted by worst group, then a line a point or a setup, then the verdict.

    of_settings: sentences on how the settings of a single setup were chosen, before its verdict.
    width: columns, by default those of the terminal.
    """
    width = columns() if width is None else width
    rows = suite.standings(grids, settings)
    single = grids[0] if len(grids) == 1 else None
    lines = [*(_of_one(single) if single else _of_suite(grids)), "", *_ranked(rows, width), ""]
    if single:
        lines += [*_points(single, width), ""]
        lines += [*suite.absent(grids, settings), *of_settings, *sentences(single)]
    else:
        lines += [suite.sentence(rows, grids), *suite.absent(grids, settings)]
        lines += [_of_setup(grid) for grid in grids]
    lost = sum(len(run.seeds) for grid in grids for run in grid.missing)
    if lost:
        lines.append(f"{count(lost, 'run')} missing: see the report.")
    return "\n".join(_shown(line, min(width, WIDTH)) for line in lines)


def _of_one(grid: Grid) -> list[str]:
    about = f"n_l = {grid.n_l}, n_u = {grid.n_u}, {count(len(grid.seeds), runs(grid)[:-1])}"
    bars = "" if len(grid.seeds) == 1 else f"; 95 % intervals {population(grid)}"
    return [
        f"{grid.data}: {grid.teacher} -> {grid.student}",
        f"{about}{bars}",
        f"average: {grid.measure.label} at eta_t = 1/2; worst group: {smallest(grid)}",
    ]


def _of_suite(grids: Sequence[Grid]) -> list[str]:
    names = suite.data_names(grids)
    sets = count(len(names), "data set")
    return [f"{sets} ({', '.join(names)}), {count(len(grids), 'setup')}", suite.explanation(grids)]


def _ranked(rows: Sequence[Standing], width: int) -> Iterator[str]:
    """The ranked table. Columns at the right are left out where the terminal is too narrow.

    A name is never cut: where it leaves no room for a rank and a number it has its own line.
    """
    cells = [_cells(row) for row in rows]
    names = [row.label for row in rows]
    wide = max(map(len, [*names, "method"]))
    sizes = [
        max([len(head), *(len(cell[k]) for cell in cells)]) + 2 for k, head in enumerate(_HEADS)
    ]
    own_line = wide + sum(sizes[:2]) > width
    wide = 6 if own_line else wide
    shown = max(k for k in range(2, len(_HEADS) + 1) if k == 2 or wide + sum(sizes[:k]) <= width)

    def line(name: str, values: Sequence[str]) -> str:
        parts = (f"{value:>{size}}" for value, size in zip(values, sizes[:shown], strict=False))
        return f"{name:<{wide}}{''.join(parts)}"

    yield line("method", _HEADS)
    for k, (row, name, cell) in enumerate(zip(rows, names, cells, strict=True)):
        if row.reference and (k == 0 or not rows[k - 1].reference):
            yield "references, not ranked"
        if own_line:
            yield name
        yield line("" if own_line else name, cell)


def _cells(row: Standing) -> list[str]:
    """Of _HEADS."""
    numbers = [(row.mean, False), (row.mean, False), (row.gain, True), (row.gain, True)]
    metrics = ("worst_group", "average", "worst_group", "average")
    return [
        row.rank["worst_group"] or "-",
        *(_number(of[metric], sign) for (of, sign), metric in zip(numbers, metrics, strict=True)),
    ]


def _number(one: Interval, sign: bool) -> str:
    """`0.782+-0.012`; a lopsided interval by its ends, `0.782 [0.601, 0.853]`."""
    mean, low, high = (float(part) for part in one[:3])
    if math.isnan(mean) or math.isnan(low):
        return "-" if math.isnan(mean) else fixed(mean, sign=sign)
    below, above = mean - low, high - mean
    if max(below, above) > LOPSIDED * min(below, above):
        return f"{fixed(mean, sign=sign)} [{fixed(low, sign=sign)}, {fixed(high, sign=sign)}]"
    return f"{fixed(mean, sign=sign)}+-{fixed(max(below, above))}"


def _points(grid: Grid, width: int) -> Iterator[str]:
    """Average/worst group of every method at every point; where it is too wide, a line a point."""
    size = max(13, *(len(method_label(name)) + 2 for name in grid.methods))
    if 13 + size * len(grid.methods) > width:
        yield from _point_lines(grid)
        return
    means = [quantity.accuracies(grid, name).mean for name in ("average", "worst_group")]
    names = map(method_label, grid.methods)
    yield f"{'eta_l':>6} {'eta_u':>6}{''.join(f'{name:>{size}}' for name in names)}"
    for p, (eta_l, eta_u) in enumerate(grid.points):
        pairs = ["/".join(fixed(float(mean[p, m])) for mean in means)
                 for m in range(len(grid.methods))]  # fmt: skip
        yield f"{eta_l:>6g} {eta_u:>6g}{''.join(f'{pair:>{size}}' for pair in pairs)}"


def _point_lines(grid: Grid) -> Iterator[str]:
    """The gain of W2S, where it is there, and the student with the best worst group."""
    gained = {"teacher", "w2s"} <= set(grid.methods)
    ranked = [grid.methods.index(name) for name in students(grid) or grid.methods]
    worst = quantity.accuracies(grid, "worst_group").mean
    head = f"  {'W2S gain, average':<25}" if gained else ""
    yield f"{'eta_l':>6} {'eta_u':>6}{head}  {grid.measure.best} worst group"
    for p, (eta_l, eta_u) in enumerate(grid.points):
        gain = ""
        if gained:
            gain = f"  {bracket(at_point(grid, 'average', p, 'w2s', 'teacher')):<25}"
        there = [m for m in ranked if np.isfinite(worst[p, m])]
        scores = grid.measure.sign * worst[p]
        best = max(there, key=lambda m: float(scores[m])) if there else ranked[0]
        first = f"{fixed(float(worst[p, best]))} {method_label(grid.methods[best])}"
        yield f"{eta_l:>6g} {eta_u:>6g}{gain}  {first if there else BLANK}"


def _of_setup(grid: Grid) -> str:
    """One setup of a suite in a sentence: its best student and W2S's gains."""
    parts = []
    worst = {name: over_grid(grid, "worst_group", name) for name in students(grid)}
    worst = {name: one for name, one in worst.items() if np.isfinite(one.mean)}
    if worst:
        top = max(worst, key=lambda name: grid.measure.sign * float(worst[name].mean))
        parts.append(
            f"{grid.measure.best} worst group {method_label(top)} {_number(worst[top], False)}"
        )
    if {"w2s", "teacher"} <= set(grid.methods):
        gains = [over_grid(grid, metric, "w2s", "teacher") for metric in ("average", "worst_group")]
        parts.append(f"W2S gain {bracket(gains[0])} on average, {bracket(gains[1])} on worst group")
    name = f"{grid.data}, {grid.teacher} -> {grid.student}, n_l = {grid.n_l}, n_u = {grid.n_u}"
    return f"{name}: {'; '.join(parts) or 'no student to compare with a teacher'}."


def _shown(line: str, width: int) -> str:
    """A line in ASCII; a sentence that is too long in several, a row of a table as it is."""
    for mark, plain in _ASCII.items():
        line = line.replace(mark, plain)
    is_sentence = len(line) > width and "  " not in line
    return wrapped(line, width=width) if is_sentence else line
