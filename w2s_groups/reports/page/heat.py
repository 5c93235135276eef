"""Maps over (eta_l, eta_u), one method at a time: a number and a colour in every cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from w2s_groups.reports.comparisons import RANKED, SHOWN
from w2s_groups.reports.page.gains import gains
from w2s_groups.reports.page.html import render
from w2s_groups.results import quantity
from w2s_groups.results.format import BLANK, bounds, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Interval

STEPS = 5  # shades on each side of the middle one
DENSE = 10  # columns above which cells are too small for a number


class Step(NamedTuple):
    """A shade of the legend and the value in its middle."""

    shade: str
    shown: str


class Scale(NamedTuple):
    """Shades of one quantity, shared by all methods.

    low, high: values of the first and the last shade. diverges: about 0, or from low to high.
    """

    title: str
    low: float
    high: float
    diverges: bool

    def shade(self, value: float) -> str:
        """Class of a value, see `shade`."""
        return shade(value, self.low, self.high, self.diverges)

    @property
    def legend(self) -> list[Step]:
        """Every shade with its middle value."""
        if self.diverges:
            middles = [k / STEPS * self.high for k in range(-STEPS, STEPS + 1)]
        else:
            width = (self.high - self.low) / (STEPS + 1)
            middles = [self.low + (k + 0.5) * width for k in range(STEPS + 1)]
        digits = 2 if self.high >= 0.1 else 3
        return [Step(self.shade(v), fixed(v, digits, sign=self.diverges)) for v in middles]


class Cell(NamedTuple):
    """One point. full: with its eta and interval, shown on pointing at it."""

    shade: str
    shown: str
    full: str
    holds_zero: bool


class Row(NamedTuple):
    """The points of one eta_l, None where the number is missing."""

    eta: str
    cells: list[Cell | None]


class Map(NamedTuple):
    """One quantity of one method over the grid."""

    scale: Scale
    columns: list[str]
    rows: list[Row]
    dense: bool


class Choice(NamedTuple):
    """A method and its maps; first: shown when the page opens."""

    label: str
    first: bool
    maps: list[Map]


def draw(grid: Grid, key: str) -> Markup:
    """A choice of method and its maps: gains (where there is a teacher), worst-group accuracy."""
    quantities = _quantities(grid)
    first = next((name for name in ("selective", "w2s") if name in grid.methods), grid.methods[0])
    methods = [
        Choice(
            method_label(name),
            name == first,
            [_map(grid, scale, each[name]) for scale, each in quantities if name in each],
        )
        for name in grid.methods
    ]
    scales = [scale for scale, _ in quantities]
    return render("heat", key=key, methods=methods, scales=scales, blank=BLANK)


def _quantities(grid: Grid) -> list[tuple[Scale, dict[str, Interval]]]:
    """Each quantity that is mapped: its scale, and the values (P,) of each method."""
    quantities = []
    if grid.index("teacher") is not None:
        for metric in RANKED:
            each = gains(grid, metric)
            quantities.append((_scale(f"gain, {SHOWN[metric]}", each, True), each))
    worst = quantity.accuracies(grid, "worst_group")
    each = {name: worst.of_method(m) for m, name in enumerate(grid.methods)}
    return [*quantities, (_scale("accuracy, worst group", each, False), each)]


def _scale(title: str, each: dict[str, Interval], diverges: bool) -> Scale:
    """The scale that holds the means of all methods."""
    means = np.concatenate([np.asarray(one.mean) for one in each.values()])
    means = means[np.isfinite(means)]
    if not means.size:
        return Scale(title, -1.0 if diverges else 0.0, 1.0, diverges)
    if diverges:
        most = float(np.abs(means).max()) or 1.0
        return Scale(title, -most, most, diverges)
    low, high = float(means.min()), float(means.max())
    return Scale(title, low, high if high > low else low + 1.0, diverges)


def shade(value: float, low: float, high: float, diverges: bool) -> str:
    """Class of a cell: n5 .. n1, z, p1 .. p5 about 0, or z, p1 .. p5 from low to high."""
    if np.isnan(value):
        return "none"
    if diverges:
        step = round(round(value / high, 9) * STEPS)
    else:
        step = min(int(round((value - low) / (high - low), 9) * (STEPS + 1)), STEPS)
    return "z" if step == 0 else f"{'p' if step > 0 else 'n'}{abs(step)}"


def _map(grid: Grid, scale: Scale, interval: Interval) -> Map:
    columns = sorted({eta_u for _, eta_u in grid.points})
    position = {point: p for p, point in enumerate(grid.points)}
    rows = []
    for eta_l in grid.etas_l:
        at = [position.get((eta_l, eta_u)) for eta_u in columns]
        cells = [None if p is None else _cell(grid, scale, interval, p) for p in at]
        rows.append(Row(f"{eta_l:g}", cells))
    return Map(scale, [f"{eta:g}" for eta in columns], rows, len(columns) > DENSE)


def _cell(grid: Grid, scale: Scale, interval: Interval, p: int) -> Cell | None:
    value = float(interval.mean[p])
    if np.isnan(value):
        return None
    eta_l, eta_u = grid.points[p]
    number = fixed(value, sign=scale.diverges)
    full = f"η_ℓ {eta_l:g}, η_u {eta_u:g}: {number}"
    if np.isfinite(interval.low[p]):
        full += f" {bounds(interval.at(p), scale.diverges)}"
    open_ = scale.diverges and bool(interval.holds(0.0)[p])
    return Cell(scale.shade(value), f"({number})" if open_ else number, full, open_)
