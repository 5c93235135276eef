"""Predicted against measured accuracy of teacher and student: one panel for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import ticker
from w2s_groups.core.text import short
from w2s_groups.figures import style
from w2s_groups.prediction.table import agreement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_ROW = 3
LABELS = {"teacher": "teacher", "w2s": "student"}


def draw(cells: pd.DataFrame, metric: str, label: str) -> Figure:
    """Figure of one metric. cells: rows of table.compare, any number of pairs.

    Bars are 95 % ranges over draws, of what is predicted (across) and of what was measured (up).
    """
    pairs = list(dict.fromkeys(zip(cells["teacher"], cells["student"], strict=True)))
    columns = min(PER_ROW, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = style.new_figure(max(3.7 * columns, 4.6), 3.6 * rows + 0.7)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for k in range(rows * columns):
        ax = axes[divmod(k, columns)]
        if k >= len(pairs):
            ax.set_axis_off()
            continue
        teacher, student = pairs[k]
        part = cells[
            (cells["teacher"] == teacher)
            & (cells["student"] == student)
            & (cells["metric"] == metric)
        ]
        notes = _panel(ax, part)
        ax.set_title(f"{short(teacher)} → {short(student)}\n" + "\n".join(notes), fontsize=8)
        if k + columns >= len(pairs):
            ax.set_xlabel(f"predicted {label}")
            ax.tick_params(labelbottom=True)
        if k % columns == 0:
            ax.set_ylabel(f"measured {label}")
        style.dress(ax)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9,
        labelcolor=style.INK,
    )  # fmt: skip
    return figure


def _panel(ax: Axes, part: pd.DataFrame) -> list[str]:
    """One pair; returns how well prediction and measurement agree, in a line for each model."""
    ends = part[part["method"].isin(LABELS)][["predicted", "measured"]].to_numpy()
    low, high = float(np.nanmin(ends)) - 0.02, float(np.nanmax(ends)) + 0.02
    ax.plot([low, high], [low, high], color=style.MUTED, linewidth=1.0, label="equal")
    notes = []
    for method, name in LABELS.items():
        rows = part[part["method"] == method]
        if rows.empty:
            continue
        x, y = rows["predicted"].to_numpy(), rows["measured"].to_numpy()
        ax.errorbar(
            x, y,
            xerr=_bars(rows, "predicted"), yerr=_bars(rows, "measured"),
            linestyle="", marker=style.MARKERS[0 if method == "teacher" else 1], markersize=4,
            color=style.colour(method, ()), elinewidth=0.6, alpha=0.75, label=name,
        )  # fmt: skip
        fit = agreement(rows)
        notes.append(
            f"{name}: R² {fit.r2:.3f}, {100 * fit.coverage:.0f} % of draws in 95 % interval"
        )
    ax.xaxis.set_major_locator(ticker.MaxNLocator(nbins=6))
    ax.yaxis.set_major_locator(ticker.MaxNLocator(nbins=6))
    return notes


def _bars(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    mean = rows[name].to_numpy()
    ends = [mean - rows[f"{name}_low"].to_numpy(), rows[f"{name}_high"].to_numpy() - mean]
    return np.asarray(np.clip(np.stack(ends), 0, None))
