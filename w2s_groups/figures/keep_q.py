"""Sensitivity of selective retraining to its two settings: the share kept and GCE's exponent q."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import colors as mpl_colors
from w2s_groups.core.lazy import patches
from w2s_groups.figures import style
from w2s_groups.methods.variants import Variant
from w2s_groups.results import quantity
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

METRICS = {"average": r"average ($\eta_t = 1/2$)", "worst_group": "worst group"}


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Variants of selective retraining as a grid over keep and q. method: (keep, q) -> name."""

    keep: tuple[float, ...]
    q: tuple[float, ...]
    method: dict[tuple[float, float], str]


def variants(grid: Grid, of_settings: Sequence[Variant]) -> Sensitivity | None:
    """The variants in (keep, q), None where there are fewer than four or W2S lacks.

    of_settings: those that the run's settings name, in whichever order they vary the two.
    """
    method = {
        (float(one.settings["keep"]), float(one.settings["q"])): one.name
        for one in of_settings
        if one.base == "selective"
        and set(one.settings) == {"keep", "q"}
        and one.name in grid.methods
    }
    if len(method) < 4 or grid.index("w2s") is None:
        return None
    keep, q = (tuple(sorted({key[i] for key in method})) for i in (0, 1))
    return Sensitivity(keep, q, method)


def gain(grid: Grid, metric: str, method: str, eta_l: float) -> Interval:
    """Variant - W2S, averaged over the points of one eta_l in each seed; t interval over seeds."""
    rows = grid.at(eta_l)
    value = quantity.metric(grid, metric).at(rows)
    apart = (value - value.method(grid.methods.index("w2s"))).mean()
    return apart.at(grid.methods.index(method)).difference()


def draw(grid: Grid, varied: Sensitivity, fixed: tuple[float, float] | None = None) -> Figure:
    """Heat maps of the difference to W2S in accuracy: a row a metric, a column an eta_l.

    Brackets mark a cell whose 95 % interval over seeds holds 0; a frame marks `fixed`, the (keep,
    q) that was chosen beforehand.
    """
    columns = grid.etas_l
    maps = {
        (metric, eta_l): _table(grid, varied, metric, eta_l)
        for metric in METRICS
        for eta_l in columns
    }
    known = [abs(v) for mean, _ in maps.values() for v in mean.flat if np.isfinite(v)]
    norm = mpl_colors.TwoSlopeNorm(0.0, -(largest := max(known, default=0.0) or 1.0), largest)
    size = (0.8 * len(varied.q) + 1.1, 0.42 * len(varied.keep) + 0.9)
    figure = style.new_figure(size[0] * len(columns) + 1.2, size[1] * len(METRICS) + 0.6)
    axes = figure.subplots(len(METRICS), len(columns), squeeze=False)
    for i, (metric, label) in enumerate(METRICS.items()):
        for j, eta_l in enumerate(columns):
            image = _panel(axes[i, j], varied, *maps[metric, eta_l], norm)
            if fixed is not None and fixed in varied.method:
                at = (varied.q.index(fixed[1]) - 0.5, varied.keep.index(fixed[0]) - 0.5)
                frame = patches.Rectangle(at, 1, 1, fill=False, edgecolor="black", linewidth=2)
                axes[i, j].add_patch(frame)
            if i == 0:
                axes[i, j].set_title(rf"$\eta_\ell = {eta_l:g}$", fontsize=11)
            if i == len(METRICS) - 1:
                axes[i, j].set_xlabel("q, exponent of GCE", fontsize=10)
        axes[i, 0].set_ylabel(f"{label}\nshare kept", fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("selective − W2S, accuracy; (…): 95 % interval holds 0", fontsize=10)
    bar.ax.tick_params(labelsize=9)
    return figure


def _panel(
    panel: Axes,
    varied: Sensitivity,
    mean: NDArray[np.float64],
    unsure: NDArray[np.bool_],
    norm: TwoSlopeNorm,
) -> AxesImage:
    """One heat map with its numbers. mean, unsure: (keep, q)."""
    image = panel.imshow(mean, cmap="RdBu", norm=norm, aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(mean):
        if np.isfinite(value):
            dark = abs(value) > 0.6 * float(norm.vmax or 1.0)
            shown = f"({value:+.3f})" if unsure[row, column] else f"{value:+.3f}"
            panel.text(
                column, row, shown, ha="center", va="center",
                color="white" if dark else "black", fontsize=8.5,
            )  # fmt: skip
    panel.set_xticks(range(len(varied.q)), [f"{q:g}" for q in varied.q])
    panel.set_yticks(range(len(varied.keep)), [f"{keep:g}" for keep in varied.keep])
    panel.tick_params(labelsize=9, length=0)
    return image


def _table(
    grid: Grid, varied: Sensitivity, metric: str, eta_l: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    mean = np.full((len(varied.keep), len(varied.q)), np.nan)
    unsure = np.zeros(mean.shape, dtype=bool)
    for (keep, q), method in varied.method.items():
        at = varied.keep.index(keep), varied.q.index(q)
        interval = gain(grid, metric, method, eta_l)
        mean[at], unsure[at] = float(interval.mean), bool(interval.holds(0.0))
    return mean, unsure
