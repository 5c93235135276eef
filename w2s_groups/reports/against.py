"""Each method against W2S and against the teacher: difference, exact p, seeds needed, points."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import RANKED, grain, seed_means, smallest
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.paired import MOST, seeds_needed, sign_flip_p
from w2s_groups.results.stats import FEWEST, Floats, mean_interval, significant_sign

_COLUMNS = ("difference", "p", "seeds for 80 %", "above", "below")


def against(grid: Grid) -> list[Section]:
    """A row for each method and each of W2S and the teacher; empty without either."""
    values = {metric: grid.metric(metric) for metric in RANKED}
    rows = []
    for other in [name for name in ("w2s", "teacher") if name in grid.methods]:
        o = grid.methods.index(other)
        for m, method in enumerate(grid.methods):
            if method == other:
                continue
            cells: list[str] = []
            for metric in RANKED:
                at_points = values[metric][:, m] - values[metric][:, o]
                cells += _cells(grid, seed_means(grid, metric, method, other), at_points)
            rows.append((method_label(other), method_label(method), *cells))
    if not rows:
        return []
    header = (
        "against",
        "method",
        *(f"average: {column}" for column in _COLUMNS),
        *(f"worst group ({smallest(grid)}): {column}" for column in _COLUMNS),
    )
    title = "Every method against W2S and the teacher"
    return [Section(title, _explanation(grid), header=header, rows=tuple(rows), keys=1)]


def _cells(grid: Grid, difference: Floats, at_points: Floats) -> list[str]:
    """Of _COLUMNS. difference: (S',) over the grid; at_points: (P, S)."""
    p = float(sign_flip_p(difference))
    needed = seeds_needed(difference, grain(grid))
    return [
        bracket(mean_interval(difference)),
        fixed(p, 3 if p >= 0.001 or np.isnan(p) else 4),
        BLANK if needed is None else f"> {MOST}" if needed > MOST else str(needed),
        *_counts(at_points, grid.step()),
    ]


def _counts(difference: Floats, step: float) -> tuple[str, str]:
    """Points of (P, S) with a mean above and below 0, and in brackets the significant ones."""
    mean, significant = mean_interval(difference).mean, significant_sign(difference, step)
    above, below = (
        f"{int((np.sign(mean) == side).sum())} ({int((significant == side).sum())})"
        for side in (1, -1)
    )
    return above, below


def _explanation(grid: Grid) -> tuple[str, ...]:
    seeds = int(grid.common()[1].sum())
    least_p = f"{2.0 ** (1 - seeds):.2g}" if seeds else BLANK
    return (
        "Paired differences over the same points and seeds as the summary, with Student t "
        "intervals. p: two-sided, of the exact sign-flip test over seeds, not corrected for the "
        f"number of rows; with {count(seeds, 'seed')} it cannot be below {least_p}. Seeds "
        "for 80 %: how many would show this difference in 80 of 100 studies by the paired t test "
        "at 5 %, if its mean and its scatter over seeds are as measured.",
        f"Above and below: of {count(len(grid.points), 'point')} those where the mean over seeds "
        "is above or below, in brackets how many by a paired t test at 5 % of that point by itself "
        f"(none below {FEWEST} seeds).",
    )
