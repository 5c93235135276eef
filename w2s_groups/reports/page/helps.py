"""Where W2S helps: its gain at every (eta_l, eta_u) of every setup, in one small map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from w2s_groups.reports.page.gains import gains
from w2s_groups.reports.page.heat import DENSE, Cell, shade
from w2s_groups.reports.page.html import render
from w2s_groups.results.format import bounds, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import Interval


class Line(NamedTuple):
    """The points of one setup at one eta_l. first: of its setup, which then is named over span."""

    setup: str
    first: bool
    span: int
    eta_l: str
    cells: list[Cell | None]


def draw(grids: Sequence[Grid], names: Sequence[str]) -> Markup:
    """Rows are setups and eta_l, columns eta_u; empty where no setup has W2S and its teacher.

    names: of the setups, as the tabs show them.
    """
    kept = [
        (grid, name)
        for grid, name in zip(grids, names, strict=True)
        if {"teacher", "w2s"} <= set(grid.methods)
    ]
    each = [gains(grid, "average")["w2s"] for grid, _ in kept]
    means = np.concatenate([np.ravel(one.mean) for one in each]) if each else np.empty(0)
    if not np.isfinite(means).any():
        return Markup()
    most = float(np.nanmax(np.abs(means))) or 1.0
    columns = sorted({eta_u for grid, _ in kept for _, eta_u in grid.points})
    lines = [
        line
        for (grid, name), interval in zip(kept, each, strict=True)
        for line in _lines(grid, name, interval, columns, most)
    ]
    dense = len(columns) > DENSE
    return render("helps", columns=[f"{eta:g}" for eta in columns], lines=lines, dense=dense)


def _lines(
    grid: Grid, name: str, interval: Interval, columns: Sequence[float], most: float
) -> list[Line]:
    at = {point: p for p, point in enumerate(grid.points)}
    return [
        Line(
            name,
            k == 0,
            len(grid.etas_l),
            f"{eta_l:g}",
            [
                _cell(interval, at[eta_l, eta_u], eta_l, eta_u, most)
                if (eta_l, eta_u) in at
                else None
                for eta_u in columns
            ],
        )
        for k, eta_l in enumerate(grid.etas_l)
    ]


def _cell(interval: Interval, p: int, eta_l: float, eta_u: float, most: float) -> Cell | None:
    value = float(interval.mean[p])
    if np.isnan(value):
        return None
    number = fixed(value, sign=True)
    open_ = bool(interval.holds(0.0)[p])
    full = f"η_ℓ {eta_l:g}, η_u {eta_u:g}: {number}"
    if np.isfinite(interval.low[p]):
        full += f" {bounds(interval.at(p))}"
    return Cell(shade(value, -most, most, True), f"({number})" if open_ else number, full, open_)
