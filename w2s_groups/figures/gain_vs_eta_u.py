"""Gain over the teacher against eta_u, a panel for each eta_l: average above, worst group below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from w2s_groups.core.lazy import ticker
from w2s_groups.figures import style
from w2s_groups.results import quantity
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import DRAWN_FIRST, REFERENCES, method_label
from w2s_groups.results.stats import Interval

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS_PER_ROW = 4
NEAR = 0.03  # of a row's height: means so close to another line's everywhere are not drawn again
METRICS = {"average": r"average ($\eta_t = 1/2$)", "worst_group": "worst group"}


def draw(grid: Grid) -> Figure:
    """Figure of one grid: means over seeds of paired gains with 95 % intervals.

    The ceiling's gain is shown for scale. Source: the experiments behind LDL25 Figures 2 and 3.
    """
    columns = min(PANELS_PER_ROW, len(grid.etas_l))
    blocks = -(-len(grid.etas_l) // columns)
    figure = style.new_figure(max(2.9 * columns + 0.9, 5.2), 4.8 * blocks + 0.5)
    axes = figure.subplots(len(METRICS) * blocks, columns, sharex=True, sharey=False, squeeze=False)
    lines, note = _lines(grid)
    for row, metric in enumerate(METRICS):
        limits = _limits(grid, metric, lines)
        for k in range(columns * blocks):
            block, column = divmod(k, columns)
            panel = axes[len(METRICS) * block + row, column]
            if k >= len(grid.etas_l):
                panel.set_axis_off()
                continue
            eta_l = grid.etas_l[k]
            _panel(panel, grid, eta_l, metric, lines)
            panel.set_ylim(*limits)
            panel.yaxis.set_major_locator(ticker.MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
            if row == 0:
                panel.set_title(rf"$\eta_\ell = {eta_l:g}$", fontsize=11)
            if row == len(METRICS) - 1:
                panel.set_xlabel(r"$\eta_u$", fontsize=10)
                panel.tick_params(labelbottom=True)
            if column == 0:
                panel.set_ylabel(f"gain, {METRICS[metric]}", fontsize=9.5)
            else:
                panel.tick_params(labelleft=False)
            style.dress(panel)
    handles = _in_order(axes[0, 0], lines)
    if handles:
        style.legend_below(figure, list(handles.values()), list(handles), note=note)
    return figure


def _lines(grid: Grid) -> tuple[list[str], str]:
    """Methods with a line, and which have none and why.

    All but references, or the main ones where markers do not suffice; of lines that lie on each
    other the first. The page of the report has a panel for each method.
    """
    references = {*REFERENCES, *(n for n in grid.submitted if grid.card(n).get("reference"))}
    every = [name for name in grid.methods if name == "ceiling" or name not in references]
    lines = every
    if len(every) > len(style.MARKERS):
        lines = [name for name in every if name in DRAWN_FIRST]
    notes = []
    drawn: list[str] = []
    near: dict[str, list[str]] = {}
    means = {name: {metric: _gain(grid, metric, name).mean for metric in METRICS} for name in lines}
    heights = {metric: float(np.ptp(_limits(grid, metric, lines))) for metric in METRICS}
    for name in lines:
        others = [
            other for other in drawn
            if "ceiling" not in (name, other) and all(
                np.abs(means[name][metric] - means[other][metric]).max() <= NEAR * heights[metric]
                for metric in METRICS
            )
        ]  # fmt: skip
        if others:
            near.setdefault(others[0], []).append(method_label(name))
        else:
            drawn.append(name)
    for other, names in near.items():
        notes.append(f"{', '.join(names)} (on the line of {method_label(other)})")
    if len(every) > len(lines):
        left = len(every) - len(lines)
        notes.append(f"{left} others (too many for one figure, the page has a panel for each)")
    return drawn, f"Not drawn: {'; '.join(notes)}." if notes else ""


def _in_order(panel: Axes, lines: list[str]) -> dict[str, Artist]:
    """Label -> handle in the methods' order: matplotlib lists plain lines before error bars."""
    handles, labels = panel.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    return {_label(method): by_label[_label(method)] for method in lines}


def _label(method: str) -> str:
    return method_label(method) + (" − teacher" if method == "ceiling" else "")


def _panel(panel: Axes, grid: Grid, eta_l: float, metric: str, lines: list[str]) -> None:
    rows = grid.at(eta_l)
    eta_u = np.array([grid.points[p][1] for p in rows])
    panel.axhline(0.0, color=style.MUTED, linewidth=1.0)
    gap = float(np.ptp(eta_u)) or 0.1
    for k, method in enumerate(lines):
        gain = _gain(grid, metric, method)
        mean, low, high = gain.mean[rows], gain.low[rows], gain.high[rows]
        shade = style.colour(method, grid.methods)
        name = _label(method)
        if method == "ceiling":
            panel.fill_between(eta_u, low, high, color=shade, alpha=0.16, linewidth=0)
            panel.plot(eta_u, mean, color=shade, linestyle="--", linewidth=1.4, label=name)
            continue
        # Side by side, so that bars do not overlap.
        x = eta_u + (k - (len(lines) - 2) / 2) * 0.012 * gap
        error = np.nan_to_num(np.stack([mean - low, high - mean]))
        panel.errorbar(
            x, mean, yerr=error, color=shade, marker=style.MARKERS[k % len(style.MARKERS)],
            markersize=4.5, linewidth=1.6, elinewidth=1.1, capsize=2.5, label=name,
        )  # fmt: skip
    panel.set_xticks(eta_u, [f"{value:g}" for value in eta_u])
    if len(eta_u) > 8:
        panel.set_xticks(eta_u[:: -(-len(eta_u) // 6)])
    panel.set_xlim(eta_u.min() - 0.08 * gap, eta_u.max() + 0.08 * gap)


def _gain(grid: Grid, metric: str, method: str) -> Interval:
    of_all = quantity.differences(grid, metric, "teacher")
    return of_all.of_method(grid.methods.index(method))


def _limits(grid: Grid, metric: str, lines: list[str]) -> tuple[float, float]:
    """Shared vertical range of a row of panels: every interval and zero, with a margin."""
    ends = [0.0]
    for method in lines:
        gain = _gain(grid, metric, method)
        ends += [float(end) for part in gain[:3] for end in part if np.isfinite(end)]
    margin = 0.06 * (max(ends) - min(ends)) or 0.01
    return min(ends) - margin, max(ends) + margin
