"""The table and the verdict of a grid as plain ASCII text for a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from w2s_groups.core.text import WIDTH, count, wrapped
from w2s_groups.reports.comparisons import smallest
from w2s_groups.reports.verdict import sentences
from w2s_groups.results.format import BLANK, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label

PER_BLOCK = 5  # methods side by side
_ASCII = {
    "η_ℓ": "eta_l",
    "η_u": "eta_u",
    "η_t": "eta_t",
    "±": "+-",
    "→": "->",
    BLANK: "-",
    "−": "-",
}


def terminal(grid: Grid, of_settings: Sequence[str] = ()) -> str:
    """Accuracies of every point, then the verdict, in at most WIDTH columns of plain ASCII.

    of_settings: sentences on how settings were chosen, which come first.
    """
    lines = [
        f"{grid.data}: {grid.teacher} -> {grid.student}",
        f"n_l = {grid.n_l}, n_u = {grid.n_u}, {count(len(grid.seeds), 'seed')}; average "
        f"(eta_t = 1/2)/worst-group {grid.measure.label} ({smallest(grid)})",
        *_table(grid),
        "",
        *([_widest(grid)] if len(grid.seeds) > 1 else []),  # the verdict says it of one
        *of_settings,
        *sentences(grid),
    ]
    if grid.missing:
        lost = count(sum(len(run.seeds) for run in grid.missing), "run")
        lines.append(f"{lost} missing: see the report.")
    return "\n".join(map(_shown, lines))


def _table(grid: Grid) -> Iterator[str]:
    """Lines of a block for every PER_BLOCK methods: names, then a line a point."""
    pairs = [_pairs(grid, p) for p in range(len(grid.points))]
    for start in range(0, len(grid.methods), PER_BLOCK):
        block = slice(start, start + PER_BLOCK)
        yield ""
        yield from _heads(grid.methods[block])
        for (eta_l, eta_u), of_point in zip(grid.points, pairs, strict=True):
            cells = "".join(f"{'/'.join(pair):>13}" for pair in of_point[block])
            yield f"{eta_l:>6g} {eta_u:>6g}{cells}"


def _heads(methods: Sequence[str]) -> Iterator[str]:
    """Names of methods over their columns; long ones take several lines."""
    parted = [method_label(name).replace("[", " [").replace(",", ", ") for name in methods]
    heads = [textwrap.wrap(name, 12) for name in parted]
    for left in range(max(map(len, heads)), 0, -1):
        start = f"{'eta_l':>6} {'eta_u':>6}" if left == 1 else " " * 13
        parts = ["" if left > len(head) else head[-left] for head in heads]
        yield start + "".join(f"{part:>13}" for part in parts)


def _shown(line: str) -> str:
    """A line in ASCII; a sentence that is too long in several, a row of the table as it is."""
    for mark, plain in _ASCII.items():
        line = line.replace(mark, plain)
    is_sentence = not line.startswith(" ") and len(line) > WIDTH
    return wrapped(line) if is_sentence else line


def _pairs(grid: Grid, p: int) -> list[tuple[str, str]]:
    """(average, worst group) of each method at one point, means over seeds."""
    values = [grid.metric(name)[p] for name in ("average", "worst_group")]
    means = [grid.measure.interval(value).mean for value in values]
    return [
        (fixed(float(means[0][m])), fixed(float(means[1][m]))) for m in range(len(grid.methods))
    ]


def _widest(grid: Grid) -> str:
    """The widest interval of a table whose numbers have none of their own, as a sentence."""
    half = []
    for name in ("average", "worst_group"):
        interval = grid.measure.interval(grid.metric(name), grid.step())
        each = np.maximum(interval.high - interval.mean, interval.mean - interval.low)
        widths = each[np.isfinite(each)]
        half.append(float(widths.max()) if widths.size else math.nan)
    if math.isnan(half[0]) and math.isnan(half[1]):
        return "One seed: no intervals."
    return f"95 % intervals over seeds: at most ±{fixed(half[0])} / ±{fixed(half[1])}."
