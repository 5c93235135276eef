"""One look for every figure: colours by method, and files without time stamps."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2s_groups.core.lazy import backend_agg
from w2s_groups.core.lazy import figure as mpl_figure
from w2s_groups.results.method_facts import colour_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OTHERS = ("#CC79A7", "#56B4E9", "#E69F00", "#8C6D31", "#5E4FA2")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")


INK, MUTED, GRID, BACKGROUND = "#1a1a1a", "#595959", "#e3e3e3", "#ffffff"


def colour(method: str, others: tuple[str, ...]) -> str:
    """Colour of a method; one that is not in the palette takes the next free colour in `others`."""
    if own := colour_of(method):
        return own
    unknown = [name for name in others if not colour_of(name)]
    return OTHERS[unknown.index(method) % len(OTHERS)]


def new_figure(width: float, height: float) -> Figure:
    """Empty figure of a size in inches, without any pyplot state."""
    figure = mpl_figure.Figure(figsize=(width, height), layout="constrained", facecolor=BACKGROUND)
    backend_agg.FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes) -> None:
    """Quiet frame and horizontal grid lines."""
    axes.set_facecolor(BACKGROUND)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)


def legend_below(
    figure: Figure,
    handles: Sequence[Artist],
    names: Sequence[str],
    columns: int = 4,
    note: str = "",
) -> None:
    """A legend under the panels, in as many of so many columns as fit the figure's width.

    Long names take several lines; a note stands above the names. The figure grows by the rows of
    the legend, so that the panels keep their size.
    """
    size, width = 9.5, 0.98 * figure.get_figwidth() * figure.dpi
    wrapped = [_wrapped(name) for name in names]
    # A letter is about half as wide as it is high.
    above = textwrap.fill(note, int(width / figure.dpi * 72 / (0.54 * (size - 1)))) or None
    for n in range(min(len(names), columns), 0, -1):
        legend = figure.legend(
            handles, wrapped, loc="outside lower center", ncols=n, frameon=False, labelcolor=INK,
            fontsize=size, title=above, title_fontsize=size - 1,
        )  # fmt: skip
        legend.get_title().set_color(MUTED)
        box = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        if box.width <= width or n == 1:
            break
        legend.remove()
    more = box.height / figure.dpi - 2.2 * size / 72  # the space of one row is there already
    figure.set_figheight(figure.get_figheight() + max(0.0, more))


def _wrapped(name: str, longest: int = 44) -> str:
    """A name with line breaks after commas, where it is too long for a line."""
    lines = [""]
    for part in re.split(r"(?<=,)", name):
        if lines[-1] and len(lines[-1]) + len(part) > longest:
            lines.append("  ")
        lines[-1] += part
    return "\n".join(lines)


def png(figure: Figure, dpi: int = 160) -> bytes:
    """PNG of a figure; the same figure gives the same bytes under one matplotlib."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()


def pdf(figure: Figure) -> bytes:
    """PDF of a figure, without the time it was made."""
    out = io.BytesIO()
    figure.savefig(out, format="pdf", metadata={"CreationDate": None})
    return out.getvalue()
