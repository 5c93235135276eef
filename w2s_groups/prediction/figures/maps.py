"""Maps over (eta_l, eta_u) of what is predicted before any head is trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from w2s_groups.figures import style
from w2s_groups.prediction.table import METRICS, RETRAINED

LABELS = {
    "average": "average accuracy",
    "minority": "minority accuracy",
    "worst_group": "worst-group accuracy",
}


def draw(cells: pd.DataFrame, measured: pd.DataFrame | None = None) -> Figure:
    """Figure of one pair at one (n_l, n_u, l2).

    cells: rows of prediction.table.predictions; measured: of its `compare`, whose measured gains
    are laid on the predicted ones as discs in the same colours.
    """
    figure = style.new_figure(13.5, 3.1 * len(METRICS) + 0.8)
    axes = figure.subplots(len(METRICS), 4, sharex=True, sharey=True, squeeze=False)
    for row, metric in enumerate(METRICS):
        of_metric = cells[cells["metric"] == metric]
        teacher, student, gain = (
            _grid(of_metric[of_metric["method"] == name], "mean")
            for name in ("teacher", "w2s", "gain")
        )
        chance = _grid(of_metric[of_metric["method"] == "gain"], "positive")
        if not np.isfinite(gain[2]).any():
            for column in range(4):
                _absent(axes[row, column], row, column, LABELS[metric] if not column else "")
            continue
        low = min(np.nanmin(teacher[2]), np.nanmin(student[2]))
        high = max(np.nanmax(teacher[2]), np.nanmax(student[2]))
        levels = MaxNLocator(12).tick_values(low, max(high, low + 1e-3))
        for column, (title, part) in enumerate((("teacher", teacher), ("student", student))):
            ax = axes[row, column]
            mesh = ax.contourf(*part[:2], part[2].T, levels=levels, cmap="viridis")
            _frame(ax, row, column, f"{title}, expected", LABELS[metric])
        _bar(figure, mesh, list(axes[row, :2]), "accuracy")
        _gain(figure, axes[row, 2], gain, student[2], _of(measured, metric))
        _frame(axes[row, 2], row, 2, "gain of the student", "")
        _chance(figure, axes[row, 3], chance)
        _frame(axes[row, 3], row, 3, "chance that a draw gains", "")
    _legend(figure, measured is not None, "student")
    return figure


def draw_retrained(cells: pd.DataFrame) -> Figure:
    """The same of students refitted on what they are surest of, and their gain over the student."""
    figure = style.new_figure(10.5, 3.1 * len(METRICS) + 0.8)
    axes = figure.subplots(len(METRICS), 3, sharex=True, sharey=True, squeeze=False)
    for row, metric in enumerate(METRICS):
        of_metric = cells[cells["metric"] == metric]
        after, gained = (of_metric[of_metric["method"] == name] for name in RETRAINED)
        accuracy, gain, chance = (
            _grid(after, "mean"), _grid(gained, "mean"), _grid(gained, "positive")
        )  # fmt: skip
        if not np.isfinite(gain[2]).any():
            for column, label in enumerate((LABELS[metric], "", "")):
                _absent(axes[row, column], row, column, label)
            continue
        low, high = np.nanmin(accuracy[2]), np.nanmax(accuracy[2])
        levels = MaxNLocator(12).tick_values(low, max(high, low + 1e-3))
        ax = axes[row, 0]
        mesh = ax.contourf(*accuracy[:2], accuracy[2].T, levels=levels, cmap="viridis")
        _frame(ax, row, 0, "refit, expected", LABELS[metric])
        _bar(figure, mesh, [ax], "accuracy")
        _gain(figure, axes[row, 1], gain, accuracy[2], None)
        _frame(axes[row, 1], row, 1, "gain over the student", "")
        _chance(figure, axes[row, 2], chance)
        _frame(axes[row, 2], row, 2, "chance that a draw gains", "")
    _legend(figure, False, "refit")
    return figure


def _absent(ax: Axes, row: int, column: int, label: str) -> None:
    ax.text(0.5, 0.5, "a group is absent", transform=ax.transAxes, ha="center", color=style.MUTED)
    _frame(ax, row, column, "", label)


def _grid(
    rows: pd.DataFrame, column: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """eta_l, eta_u and values (len(eta_l), len(eta_u))."""
    table = rows.pivot(index="eta_l", columns="eta_u", values=column)
    return (
        table.index.to_numpy(dtype=np.float64),
        table.columns.to_numpy(dtype=np.float64),
        table.to_numpy(dtype=np.float64),
    )


def _of(measured: pd.DataFrame | None, metric: str) -> pd.DataFrame | None:
    if measured is None:
        return None
    return measured[(measured["metric"] == metric) & (measured["method"] == "gain")]


def _gain(
    figure: Figure,
    ax: Axes,
    gain: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    accuracy: NDArray[np.float64],
    measured: pd.DataFrame | None,
) -> None:
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
    if np.isfinite(values).all():
        best = eta_u[accuracy.argmax(axis=1)]
        ax.plot(eta_l, best, color="black", linestyle="--", linewidth=1.2, clip_on=False)
    if measured is not None and len(measured):
        ax.scatter(
            measured["eta_l"], measured["eta_u"], c=measured["measured"], cmap="RdBu", vmin=-reach,
            vmax=reach, s=95, edgecolors="black", linewidths=0.9, zorder=3, clip_on=False,
        )  # fmt: skip
        clear = measured[measured["measured"].abs() > 2 * measured["measured_error"]]
        for _, point in clear.iterrows():
            ax.text(
                point["eta_l"], point["eta_u"], "+" if point["measured"] > 0 else "−", fontsize=9,
                ha="center", va="center_baseline", clip_on=False, zorder=4,
                path_effects=[withStroke(linewidth=1.5, foreground="white")],
            )  # fmt: skip
    _bar(figure, mesh, [ax], "gain")


def _chance(
    figure: Figure,
    ax: Axes,
    chance: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> None:
    mesh = ax.contourf(
        *chance[:2], chance[2].T, levels=np.linspace(0, 1, 11), cmap="RdBu", vmin=0, vmax=1
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


def _legend(figure: Figure, measured: bool, who: str) -> None:
    handles = [
        Line2D([], [], color="black", linewidth=1.6, label="predicted gain = 0"),
        Line2D([], [], color="black", linestyle="--", label=rf"$\eta_u$ of the best {who}"),
    ]
    if measured:
        disc = Line2D([], [], color="white", marker="o", markeredgecolor="black", linestyle="")
        disc.set_label("measured mean gain; + or − where it is two standard errors from 0")
        handles.append(disc)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9,
        labelcolor=style.INK,
    )  # fmt: skip
