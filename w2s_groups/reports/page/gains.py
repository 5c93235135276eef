"""Gain against eta_u in small panels, a line of panels for each eta_l: SVG without a colour in it.

Colours are classes of the page's style sheet, so that one drawing serves dark, light and print.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from w2s_groups.reports.comparisons import RANKED, SHOWN
from w2s_groups.reports.page.axes import Axes, Shape, Tick, pixel
from w2s_groups.reports.page.html import render
from w2s_groups.results import quantity
from w2s_groups.results.format import fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Interval

OPEN = 2  # eta_l lines shown at once; more of them start closed


class Panel(NamedTuple):
    """The gain of one method at one eta_l."""

    label: str
    title: str
    numbers: str
    ticks: list[Tick]
    shapes: list[Shape]
    dots: list[tuple[str, str]]


class Line(NamedTuple):
    """The panels of one eta_l."""

    eta: str
    open: bool
    panels: list[Panel]


class Metric(NamedTuple):
    """All panels of one metric."""

    name: str
    shown: str
    axes: Axes
    lines: list[Line]


def gains(grid: Grid, metric: str) -> dict[str, Interval]:
    """Paired gain of every method but the teacher at every point, each (P,)."""
    of_all = quantity.differences(grid, metric, "teacher")
    return {name: of_all.of_method(m) for m, name in enumerate(grid.methods) if name != "teacher"}


def draw(grid: Grid, key: str) -> Markup:
    """Switch between metrics, and panels. key: makes its ids unique."""
    of_metric = {metric: gains(grid, metric) for metric in RANKED}
    metrics = [_metric(grid, metric, each) for metric, each in of_metric.items()]
    return render("gains", key=key, metrics=metrics)


def _metric(grid: Grid, metric: str, each: dict[str, Interval]) -> Metric:
    etas = [eta_u for _, eta_u in grid.points]
    axes = Axes(_limits(each), (min(etas), max(etas)))
    lines = [
        Line(
            f"{eta_l:g}",
            k < OPEN,
            [_panel(grid, metric, axes, each, name, eta_l) for name in each],
        )
        for k, eta_l in enumerate(grid.etas_l)
    ]
    return Metric(metric, SHOWN[metric], axes, lines)


def _limits(each: dict[str, Interval]) -> tuple[float, float]:
    """A range that holds 0 and all intervals, with a margin."""
    ends = [0.0]
    for interval in each.values():
        ends += [float(v) for part in interval[:3] for v in part if np.isfinite(v)]
    margin = 0.05 * (max(ends) - min(ends)) or 0.01
    return min(ends) - margin, max(ends) + margin


def _panel(
    grid: Grid, metric: str, axes: Axes, each: dict[str, Interval], method: str, eta_l: float
) -> Panel:
    rows, gain = grid.at(eta_l), each[method]
    etas, means = [grid.points[p][1] for p in rows], gain.mean[rows]
    shapes: list[Shape] = []
    if method != "w2s" and "w2s" in each:
        shapes += axes.curve("ref", etas, each["w2s"].mean[rows])
    shapes += axes.intervals(etas, gain.low[rows], gain.high[rows])
    shapes += axes.curve("own", etas, means)
    numbers = list(zip(etas, map(float, means), strict=True))
    return Panel(
        method_label(method),
        f"{method_label(method)}, η_ℓ = {eta_l:g}: gain, {SHOWN[metric]}",
        "; ".join(f"η_u {eta:g}: {fixed(mean, sign=True)}" for eta, mean in numbers),
        axes.ticks(sorted(set(etas))),
        shapes,
        [(pixel(axes.x(eta)), pixel(axes.y(mean))) for eta, mean in numbers if np.isfinite(mean)],
    )
