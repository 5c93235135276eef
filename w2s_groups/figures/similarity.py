"""W2S gain of every pair of networks against how alike the two are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from w2s_groups.figures import style
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import Interval, mean_interval

COLOURS = (*style.OTHERS, style.INK)
AXES = {
    "share": r"$d_{s \wedge w} / d_w$ (corrected)",
    "cka": "linear CKA",
}


@dataclass(frozen=True)
class Dot:
    """One pair: its W2S gain on average accuracy over the grid, and its similarities."""

    teacher: str
    student: str
    gain: Interval
    share: float
    cka: float


def dots(grids: Sequence[Grid], pairs: Sequence[Mapping[str, Any]]) -> list[Dot]:
    """Pairs of one setup with W2S results and measured dimensions; empty below three of them.

    grids: of the same data and sizes, a pair of networks each.

    share: d_sw / d_w, the part of the teacher's directions that the student has too (DLLL25).
    """
    numbers = {(pair["teacher"], pair["student"]): pair["numbers"] for pair in pairs}
    found = []
    for grid in grids:
        w2s, teacher = grid.index("w2s"), grid.index("teacher")
        rows = numbers.get((grid.teacher, grid.student))
        if w2s is None or teacher is None or rows is None:
            continue
        by_name = {row["name"]: row["value"] for row in rows}
        d_sw = by_name.get("correlation dimension, corrected")
        d_w, cka = by_name.get("intrinsic dimension, teacher"), by_name.get("similarity")
        if not d_w or d_sw is None or cka is None:
            continue
        average = grid.metric("average")
        gain = mean_interval((average[:, w2s] - average[:, teacher]).mean(axis=0))
        found.append(Dot(grid.teacher, grid.student, gain, float(d_sw) / float(d_w), float(cka)))
    return found if len(found) >= 3 else []


def spearman(found: Sequence[Dot], axis: str) -> float:
    """Rank correlation of gain and similarity; NaN where one of them does not vary.

    No p: pairs of a few networks share networks, so that their gains are not exchangeable.
    """
    x = [getattr(dot, axis) for dot in found]
    y = [float(dot.gain.mean) for dot in found]
    if len(set(x)) < 2 or len(set(y)) < 2:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def draw(found: Sequence[Dot]) -> Figure:
    """One labelled dot a pair, its 95 % interval over seeds as a bar."""
    figure = style.new_figure(9.6, 4.4)
    axes = figure.subplots(1, len(AXES), sharey=True)
    for panel, (axis, label) in zip(axes, AXES.items(), strict=True):
        panel.axhline(0.0, color=style.MUTED, linewidth=1.0)
        for k, dot in enumerate(found):
            name = f"{_short(dot.teacher)} → {_short(dot.student)}"
            mean = float(dot.gain.mean)
            error = np.nan_to_num(np.array([[mean - dot.gain.low], [dot.gain.high - mean]]))
            panel.errorbar(
                getattr(dot, axis), mean, yerr=error, color=COLOURS[k % len(COLOURS)],
                marker=style.MARKERS[k % len(style.MARKERS)], markersize=7, capsize=3,
                linestyle="none",
                label=name if panel is axes[0] else None,
            )  # fmt: skip
        panel.set_xlabel(label, fontsize=10)
        panel.margins(x=0.12, y=0.12)
        rho = spearman(found, axis)
        panel.set_title(rf"Spearman's $\rho$ = {rho:+.2f} over {len(found)} pairs", fontsize=10)
        style.dress(panel)
    axes[0].set_ylabel("W2S gain, average accuracy", fontsize=10)
    handles, names = axes[0].get_legend_handles_labels()
    style.legend_below(figure, handles, names, columns=3)
    return figure


def _short(name: str) -> str:
    return name.rpartition("/")[2]
