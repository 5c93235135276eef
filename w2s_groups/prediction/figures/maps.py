"""Maps of predicted accuracies and gains over (eta_l, eta_u)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import lines as mpl_lines
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import patheffects, ticker
from w2s_groups.figures import style
from w2s_groups.prediction.table import METRICS, RETRAINED, is_clear

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

MATTERS = 0.005  # accuracy: below it no eta_u is called the best

LABELS = {
    "average": "average accuracy",
    "minority": "minority accuracy",
    "worst_group": "worst-group accuracy",
}


def draw(cells: pd.DataFrame, compared: pd.DataFrame | None = None) -> Figure:
    """Figure of one pair at one (n_l, n_u, l2): a row for each metric.

    cells: rows of table.predictions. compared: of table.compare, whose measured gains are drawn
    over the predicted ones as discs in the same colours.
    """
    figure = style.new_figure(14.5, 3.1 * len(METRICS) + 0.8)
    axes = figure.subplots(len(METRICS), 4, sharex=True, sharey=True, squeeze=False)
    for row, metric in enumerate(METRICS):
        teacher, student, gain, probability = _grids(
            cells, metric, ("teacher", "mean"), ("w2s", "mean"), ("gain", "mean"),
            ("gain", "positive"),
        )  # fmt: skip
        if not np.isfinite(gain.values).any():
            _absent(axes[row], row, metric)
            continue
        accuracies = (("teacher, expected", teacher), ("student, expected", student))
        _accuracies(figure, list(axes[row, :2]), row, metric, accuracies)
        _gain(figure, axes[row, 2], gain, student, _gains(compared, metric))
        _frame(axes[row, 2], row, 2, "gain of the student", "")
        _probability(figure, axes[row, 3], probability)
        _frame(axes[row, 3], row, 3, "probability of a gain", "")
    _legend(figure, compared is not None, "student")
    return figure


def draw_retrained(cells: pd.DataFrame) -> Figure:
    """As `draw`, of students retrained on their most confident images: gains over the student."""
    figure = style.new_figure(10.5, 3.1 * len(METRICS) + 0.8)
    axes = figure.subplots(len(METRICS), 3, sharex=True, sharey=True, squeeze=False)
    after, gained = RETRAINED
    for row, metric in enumerate(METRICS):
        accuracy, gain, probability = _grids(
            cells, metric, (after, "mean"), (gained, "mean"), (gained, "positive")
        )
        if not np.isfinite(gain.values).any():
            _absent(axes[row], row, metric)
            continue
        _accuracies(figure, [axes[row, 0]], row, metric, [("retrained, expected", accuracy)])
        _gain(figure, axes[row, 1], gain, accuracy, None)
        _frame(axes[row, 1], row, 1, "gain over the student", "")
        _probability(figure, axes[row, 2], probability)
        _frame(axes[row, 2], row, 2, "probability of a gain", "")
    _legend(figure, False, "retrained student")
    return figure


class _Grid(NamedTuple):
    """values: (len(eta_l), len(eta_u))."""

    eta_l: Floats
    eta_u: Floats
    values: Floats


def _grids(cells: pd.DataFrame, metric: str, *columns: tuple[str, str]) -> list[_Grid]:
    """A grid for each (method, column) of one metric."""
    of_metric = cells[cells["metric"] == metric]
    grids = []
    for method, column in columns:
        rows = of_metric[of_metric["method"] == method]
        table = rows.pivot(index="eta_l", columns="eta_u", values=column)
        axes = (table.index, table.columns, table)
        grids.append(_Grid(*(axis.to_numpy(dtype=np.float64) for axis in axes)))
    return grids


def _gains(compared: pd.DataFrame | None, metric: str) -> pd.DataFrame | None:
    if compared is None:
        return None
    return compared[(compared["metric"] == metric) & (compared["method"] == "gain")]


def _absent(axes: Sequence[Axes], row: int, metric: str) -> None:
    for column, ax in enumerate(axes):
        ax.text(
            0.5, 0.5, "a group is absent", transform=ax.transAxes, ha="center", color=style.MUTED
        )
        _frame(ax, row, column, "", "" if column else LABELS[metric])


def _accuracies(
    figure: Figure,
    axes: list[Axes],
    row: int,
    metric: str,
    grids: Sequence[tuple[str, _Grid]],
) -> None:
    """Maps of accuracy, each under its title on its own scale, with numbers on their contours."""
    for column, (ax, (title, grid)) in enumerate(zip(axes, grids, strict=True)):
        low, high = float(np.nanmin(grid.values)), float(np.nanmax(grid.values))
        levels = ticker.MaxNLocator(9).tick_values(low, max(high, low + 1e-3))
        mesh = ax.contourf(grid.eta_l, grid.eta_u, grid.values.T, levels=levels, cmap="viridis")
        _contours(ax, grid, [float(level) for level in levels], "white")
        _frame(ax, row, column, title, LABELS[metric])
        _bar(figure, mesh, [ax], "accuracy")


def _contours(ax: Axes, grid: _Grid, levels: Sequence[float], colour: str) -> None:
    """Lines at those levels that the map crosses, every other one with its number."""
    low, high = float(np.nanmin(grid.values)), float(np.nanmax(grid.values))
    crossed = [level for level in levels if low < level < high]
    if not crossed:
        return
    lines = ax.contour(
        grid.eta_l, grid.eta_u, grid.values.T, crossed, colors=colour, linewidths=0.6
    )
    labels = ax.clabel(lines, crossed[1::2] or crossed, fontsize=7, fmt="%.3g")
    for label in labels:
        other = "black" if colour == "white" else "white"
        label.set_path_effects([patheffects.withStroke(linewidth=1.5, foreground=other)])


def _gain(
    figure: Figure,
    ax: Axes,
    gain: _Grid,
    accuracy: _Grid,
    measured: pd.DataFrame | None,
) -> None:
    """Map of gains, its zero line, the eta_u of the highest accuracy, and measured gains."""
    eta_l, eta_u, values = gain
    reach = max(float(np.nanmax(np.abs(values))), 1e-3)
    if measured is not None and len(measured):
        reach = max(reach, float(measured["measured"].abs().max()))
    mesh = ax.pcolormesh(
        eta_l, eta_u, values.T, cmap="RdBu", vmin=-reach, vmax=reach, shading="gouraud",
        rasterized=True,
    )  # fmt: skip
    if np.nanmin(values) < 0 < np.nanmax(values):
        ax.contour(eta_l, eta_u, values.T, [0.0], colors="black", linewidths=1.6)
    levels = [float(level) for level in ticker.MaxNLocator(9).tick_values(-reach, reach)]
    _contours(ax, gain, [level for level in levels if abs(level) > 1e-9], style.MUTED)
    if np.isfinite(values).all():
        best = eta_u[accuracy.values.argmax(axis=1)].astype(np.float64)
        best[np.ptp(accuracy.values, axis=1) < MATTERS] = np.nan
        ax.plot(eta_l, best, color="black", linestyle="--", linewidth=1.2, clip_on=False)
    if measured is not None and len(measured):
        _measured_gains(ax, measured, reach)
    _bar(figure, mesh, [ax], "gain")


def _measured_gains(ax: Axes, measured: pd.DataFrame, reach: float) -> None:
    """Discs of measured gains, with the sign of those that differ from 0."""
    ax.scatter(
        measured["eta_l"], measured["eta_u"], c=measured["measured"], cmap="RdBu", vmin=-reach,
        vmax=reach, s=95, edgecolors="black", linewidths=0.9, zorder=3, clip_on=False,
    )  # fmt: skip
    error = measured["measured_error"].to_numpy()
    clear = measured[is_clear(measured["measured"].to_numpy(), error)]
    for _, point in clear.iterrows():
        ax.text(
            point["eta_l"], point["eta_u"], "+" if point["measured"] > 0 else "−", fontsize=9,
            ha="center", va="center_baseline", clip_on=False, zorder=4,
            path_effects=[patheffects.withStroke(linewidth=1.5, foreground="white")],
        )  # fmt: skip


def _probability(figure: Figure, ax: Axes, grid: _Grid) -> None:
    levels = np.linspace(0, 1, 11)
    mesh = ax.contourf(
        grid.eta_l, grid.eta_u, grid.values.T, levels=levels, cmap="RdBu", vmin=0, vmax=1
    )
    _bar(figure, mesh, [ax], "Pr[gain > 0]")


def _frame(ax: Axes, row: int, column: int, title: str, metric: str) -> None:
    style.dress(ax)
    ax.grid(False)
    if row == 0:
        ax.set_title(title, fontsize=10, color=style.INK)
    if row == len(METRICS) - 1:
        ax.set_xlabel(r"$\eta_\ell$")
    if column == 0:
        ax.set_ylabel(metric + "\n" + r"$\eta_u$")


def _bar(figure: Figure, mesh: object, axes: list[Axes], label: str) -> None:
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=18)  # type: ignore[arg-type]
    bar.set_label(label, color=style.INK, fontsize=8.5)
    bar.ax.tick_params(labelcolor=style.INK, labelsize=8)


def _legend(figure: Figure, measured: bool, student: str) -> None:
    handles = [
        mpl_lines.Line2D([], [], color="black", linewidth=1.6, label="predicted gain = 0"),
        mpl_lines.Line2D(
            [],
            [],
            color="black",
            linestyle="--",
            label=rf"$\eta_u$ of the best {student}, if it matters by {MATTERS:g}",
        ),
    ]
    if measured:
        disc = mpl_lines.Line2D(
            [], [], color="white", marker="o", markeredgecolor="black", linestyle=""
        )
        disc.set_label("measured mean gain; + or −: more than two standard errors from 0")
        handles.append(disc)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9,
        labelcolor=style.INK,
    )  # fmt: skip
