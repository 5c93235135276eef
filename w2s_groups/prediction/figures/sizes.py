"""Predicted gain against n_l and against n_u, at the corners of the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import ticker
from w2s_groups.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = {"average": "average", "worst_group": "worst group"}
SIZES = {"n_l": ("labelled", r"$n_\ell$"), "n_u": ("unlabelled", "$n_u$")}


def draw(cells: pd.DataFrame, at: dict[str, int], noun: str = "image") -> Figure:
    """Figure of rows whose method is "gain"; at: the n_u of the left and the n_l of the right.

    noun: what one sample is called.
    """
    figure = style.new_figure(9.2, 6.4)
    axes = figure.subplots(len(METRICS), len(SIZES), sharex="col", sharey="row", squeeze=False)
    gains = cells[cells["method"] == "gain"]
    for row, (metric, name) in enumerate(METRICS.items()):
        for column, (size, (kind, symbol)) in enumerate(SIZES.items()):
            other = "n_u" if size == "n_l" else "n_l"
            part = gains[(gains["metric"] == metric) & (gains[other] == at[other])]
            ax = axes[row, column]
            _panel(ax, part, size)
            if row == 0:
                ax.set_title(f"{SIZES[other][0]} {noun}s: {at[other]:,}", fontsize=10)
            if row == len(METRICS) - 1:
                ax.set_xlabel(f"{kind} {noun}s {symbol}")
            if column == 0:
                ax.set_ylabel(f"predicted gain, {name}")
            style.dress(ax)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=9,
        labelcolor=style.INK,
    )  # fmt: skip
    return figure


def _panel(ax: Axes, part: pd.DataFrame, size: str) -> None:
    ax.axhline(0.0, color=style.MUTED, linewidth=1.0)
    corners = list(dict.fromkeys(zip(part["eta_l"], part["eta_u"], strict=True)))
    colours = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00")
    for k, (eta_l, eta_u) in enumerate(corners):
        line = part[(part["eta_l"] == eta_l) & (part["eta_u"] == eta_u)].sort_values(size)
        shade = colours[k % len(colours)]
        ax.fill_between(line[size], line["low"], line["high"], color=shade, alpha=0.12, linewidth=0)
        ax.plot(
            line[size], line["mean"], color=shade, marker=style.MARKERS[k % len(style.MARKERS)],
            markersize=4, linewidth=1.5,
            label=rf"$\eta_\ell={eta_l:g}$, $\eta_u={eta_u:g}$ (95 % of draws)",
        )  # fmt: skip
    values = sorted(part[size].unique())
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(ticker.FixedLocator(values))
    ax.xaxis.set_minor_locator(ticker.NullLocator())
    ax.set_xticklabels([f"{value:,}" for value in values])
