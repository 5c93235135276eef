"""Every aggregate of a grid with its interval: the rows of leaderboard.csv."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.reports.sections import smallest_n
from w2s_groups.results import quantity
from w2s_groups.results.format import fixed
from w2s_groups.results.grid import METRICS, Grid
from w2s_groups.results.stats import Floats, Interval, mean_interval, pgr_interval


def rows(grids: Sequence[Grid]) -> pd.DataFrame:
    """One row a (setup, point, method): every aggregate with its interval, as 6-decimal text."""
    out = []
    marked = any(grid.card(method) for grid in grids for method in grid.methods)
    for grid in grids:
        average = grid.metric("average")
        setup = {name: getattr(grid, name) for name in ("data", "teacher", "student", "n_l", "n_u")}
        for p, (eta_l, eta_u) in enumerate(grid.points):
            for m, method in enumerate(grid.methods):
                row = {
                    **setup,
                    "eta_l": f"{eta_l:g}",
                    "eta_u": f"{eta_u:g}",
                    "method": method,
                    "seeds": int(np.isfinite(average[p, m]).sum()),
                    "seeds_asked": len(grid.seeds),
                    "n_smallest": smallest_n(grid, p, m),
                    **({"submitted": bool(grid.card(method))} if marked else {}),
                    **({} if grid.measure.is_share else {"unit": f"{grid.measure.unit:g}"}),
                }
                out.append({**row, **dict(_aggregates(grid, average[p], p, m))})
    return pd.DataFrame(out)


def _aggregates(grid: Grid, average: Floats, p: int, m: int) -> Iterator[tuple[str, str]]:
    """Column and text of each aggregate of one point and method. average: (M, S) at the point."""
    for name in METRICS:
        yield from _interval(name, quantity.accuracies(grid, name).at(p).at(m))
    for name in ("average", "worst_group"):
        for column, other in (("gain", "teacher"), ("over_w2s", "w2s")):
            gain = quantity.differences(grid, name, other).at(p).at(m)
            yield from _interval(f"{column}_{name}", gain)
    yield from _interval("pgr_average", _pgr(grid, average, m))


def _interval(name: str, interval: Interval) -> Iterator[tuple[str, str]]:
    for suffix, value in zip(("", "_low", "_high"), interval[:3], strict=True):
        yield name + suffix, _text(float(value))


def _text(value: float) -> str:
    return "" if np.isnan(value) else fixed(value, 6)


def _pgr(grid: Grid, value: Floats, m: int) -> Interval:
    teacher, ceiling = grid.index("teacher"), grid.index("ceiling")
    if teacher is None or ceiling is None:
        return mean_interval(np.full(1, np.nan))
    return pgr_interval(value[m], value[teacher], value[ceiling], grid.widening)
