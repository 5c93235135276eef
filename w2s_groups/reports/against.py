"""Each method against W2S and against the teacher: difference, exact p, seeds needed, points."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import RANKED, difference, over_grid, smallest
from w2s_groups.reports.section import Section
from w2s_groups.results import quantity
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.paired import MOST, seeds_needed, sign_flip_p
from w2s_groups.results.quantity import Quantity
from w2s_groups.results.stats import FEWEST

_COLUMNS = ("difference", "p", "seeds for 80 %", "above", "below")
_OF_SPLITS = ("difference", "p", "above", "below")


def against(grid: Grid) -> list[Section]:
    """A row for each method and each of W2S and the teacher; empty without either."""
    values = {metric: quantity.metric(grid, metric) for metric in RANKED}
    rows = []
    for other in [name for name in ("w2s", "teacher") if name in grid.methods]:
        o = grid.methods.index(other)
        counts = {metric: _counts(of_all - of_all.method(o)) for metric, of_all in values.items()}
        for m, method in enumerate(grid.methods):
            if method == other:
                continue
            cells: list[str] = []
            for metric in RANKED:
                cells += [*_cells(grid, metric, method, other), *counts[metric][m]]
            rows.append((method_label(other), method_label(method), *cells))
    if not rows:
        return []
    columns = _COLUMNS if grid.test_share is None else _OF_SPLITS
    header = (
        "against",
        "method",
        *(f"average: {column}" for column in columns),
        *(f"worst group ({smallest(grid)}): {column}" for column in columns),
    )
    title = "Every method against W2S and the teacher"
    return [Section(title, _explanation(grid), header=header, rows=tuple(rows), keys=1)]


def _cells(grid: Grid, metric: str, method: str, other: str) -> list[str]:
    """Difference over the grid, its p, and for one split the seeds that would show it."""
    apart = difference(grid, metric, method, other)
    whole = bracket(over_grid(grid, metric, method, other))
    if grid.test_share is not None:
        return [whole, _p(float(apart.p()))]
    needed = seeds_needed(apart.values, apart.step)
    seeds = BLANK if needed is None else f"> {MOST}" if needed > MOST else str(needed)
    return [whole, _p(float(sign_flip_p(apart.values))), seeds]


def _p(p: float) -> str:
    return fixed(p, 3 if p >= 0.001 or np.isnan(p) else 4)


def _counts(apart: Quantity) -> list[tuple[str, str]]:
    """Of each method the points (P, M) above and below 0, in brackets the significant ones."""
    mean, significant = np.sign(apart.difference().mean), apart.sign()
    above, below = (
        [
            f"{here} ({sure})"
            for here, sure in zip(
                (mean == side).sum(axis=0), (significant == side).sum(axis=0), strict=True
            )
        ]
        for side in (1, -1)
    )
    return list(zip(above, below, strict=True))


def _explanation(grid: Grid) -> tuple[str, ...]:
    points = (
        f"Above and below: of {count(len(grid.points), 'point')} those where the mean is above or "
        "below, in brackets how many by a test at 5 % of that point only"
    )
    if grid.test_share is not None:
        return (
            "Paired differences over the same points and splits as the summary. p: two-sided, of "
            "the test that belongs to these intervals, not corrected for the number of rows.",
            f"{points}.",
        )
    seeds = int(grid.common()[1].sum())
    least_p = f"{2.0 ** (1 - seeds):.2g}" if seeds else BLANK
    return (
        "Paired differences over the same points and seeds as the summary, with Student t "
        "intervals. p: two-sided, of the exact sign-flip test over seeds, not corrected for the "
        f"number of rows; with {count(seeds, 'seed')} it cannot be below {least_p}. Seeds "
        "for 80 %: how many would show this difference in 80 of 100 studies by the paired t test "
        "at 5 %, if its mean and its scatter over seeds are as measured.",
        f"{points} (none below {FEWEST} seeds).",
    )
