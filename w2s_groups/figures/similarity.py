"""W2S gain of every pair of networks against how similar their features are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from w2s_groups.core.lazy import stats
from w2s_groups.core.text import short
from w2s_groups.figures import style
from w2s_groups.results import quantity
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST_PAIRS = 3  # of a figure
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
    """Pairs of one setup with W2S results and dimensions; empty below FEWEST_PAIRS of them.

    grids: of the same data and sizes, a pair of networks each. pairs: of `similarity.table`, with
    their numbers by key. share: d_sw / d_w, the part of the teacher's directions that the student
    has too (DLLL25).
    """
    numbers = {(pair["teacher"], pair["student"]): pair["numbers"] for pair in pairs}
    shown = []
    for grid in grids:
        w2s, teacher = grid.index("w2s"), grid.index("teacher")
        rows = numbers.get((grid.teacher, grid.student), {})
        d_w, d_sw, cka = (
            rows[key]["value"] if key in rows else None for key in ("d_w", "d_sw_corrected", "cka")
        )
        if w2s is None or teacher is None or not d_w or d_sw is None or cka is None:
            continue
        average = quantity.metric(grid, "average")
        gain = (average - average.method(teacher)).mean().at(w2s).difference()
        shown.append(Dot(grid.teacher, grid.student, gain, float(d_sw) / float(d_w), float(cka)))
    return shown if len(shown) >= FEWEST_PAIRS else []


def spearman(shown: Sequence[Dot], axis: str) -> float:
    """Rank correlation of gain and similarity; NaN where one of them does not vary.

    No p: pairs of a few networks share networks, so that their gains are not exchangeable.
    """
    x = [getattr(dot, axis) for dot in shown]
    y = [float(dot.gain.mean) for dot in shown]
    if len(set(x)) < 2 or len(set(y)) < 2:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def draw(shown: Sequence[Dot]) -> Figure:
    """One labelled dot a pair, its 95 % interval over seeds as a bar."""
    figure = style.new_figure(9.6, 4.4)
    axes = figure.subplots(1, len(AXES), sharey=True)
    for panel, (axis, label) in zip(axes, AXES.items(), strict=True):
        panel.axhline(0.0, color=style.MUTED, linewidth=1.0)
        for k, dot in enumerate(shown):
            name = f"{short(dot.teacher)} → {short(dot.student)}"
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
        rho = spearman(shown, axis)
        panel.set_title(rf"Spearman's $\rho$ = {rho:+.2f} over {len(shown)} pairs", fontsize=10)
        style.dress(panel)
    axes[0].set_ylabel("W2S gain, average accuracy", fontsize=10)
    handles, names = axes[0].get_legend_handles_labels()
    style.legend_below(figure, handles, names, columns=3)
    return figure
