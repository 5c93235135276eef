"""Reliability diagrams: accuracy against confidence, a panel a group, a line a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.figures import style
from w2s_groups.results.method_facts import method_label, method_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4  # panels side by side
FEWEST = 0.002  # share of a group's rows that a bin needs to be drawn


def draw(
    bins: pd.DataFrame, groups: Sequence[str], minority: NDArray[np.bool_], noun: str
) -> Figure:
    """One panel a group.

    bins: rows of one setup, with method, group, bin, n and the sums confidence and right, which
    are added up over whatever else the rows tell apart. minority: (G,).
    """
    pooled = bins.groupby(["method", "group", "bin"], as_index=False)[
        ["n", "confidence", "right"]
    ].sum()
    methods = method_order(pooled["method"])
    n_rows = -(-len(groups) // COLUMNS)
    n_columns = min(len(groups), COLUMNS)
    figure = style.new_figure(9.6, 0.5 + 2.7 * n_rows)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[len(groups) :]:
        panel.set_visible(False)
    for panel, group, few in zip(panels.flat, groups, minority, strict=False):
        panel.plot([0, 1], [0, 1], color=style.MUTED, linewidth=1.0, linestyle="--")
        for k, method in enumerate(methods):
            own = pooled[(pooled["method"] == method) & (pooled["group"] == group)]
            share = own["n"] / max(own["n"].sum(), 1)
            own, share = own[share >= FEWEST], share[share >= FEWEST]
            colour = style.colour(method, methods)
            x, y = own["confidence"] / own["n"], own["right"] / own["n"]
            panel.plot(x, y, color=colour, linewidth=1.6)
            panel.scatter(
                x, y, s=12 + 160 * share, color=colour, marker=style.MARKERS[k],
                edgecolors=style.BACKGROUND, linewidths=0.5, zorder=3,
            )  # fmt: skip
            panel.plot([], [], color=colour, marker=style.MARKERS[k], label=method_label(method))
        panel.set_title(f"{group}\n({'minority' if few else 'majority'})", fontsize=10)
        panel.set_xlim(_least(pooled), 1.02)
        panel.set_ylim(-0.03, 1.03)
        style.dress(panel)
    for panel in panels[-1]:
        panel.set_xlabel("confidence", fontsize=10)
    figure.supylabel(f"accuracy on test {noun}s", fontsize=10)
    handles, names = panels[0, 0].get_legend_handles_labels()
    style.legend_below(figure, handles, names)
    return figure


def _least(pooled: pd.DataFrame) -> float:
    """Where the axis of confidence starts: no decision has less than one class in C."""
    least = float((pooled["confidence"] / pooled["n"]).min())
    return max(0.0, float(np.floor(20 * least)) / 20 - 0.02)
