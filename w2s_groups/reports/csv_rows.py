"""Every aggregate of a grid with its interval: the rows of leaderboard.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from w2s_groups.reports.sections import smallest_n
from w2s_groups.results.format import fixed
from w2s_groups.results.grid import METRICS, Grid
from w2s_groups.results.stats import (
    Floats,
    Interval,
    mean_interval,
    paired_gain,
    pgr_interval,
)


def rows(grids: Sequence[Grid]) -> pd.DataFrame:
    """One row a (setup, point, method): every aggregate with its interval, as 6-decimal text.

    Risks are in a unit of their own, which has a column.
    """
    out = []
    for grid in grids:
        values = {name: grid.metric(name) for name in METRICS}
        setup = {name: getattr(grid, name) for name in ("data", "teacher", "student", "n_l", "n_u")}
        for p, (eta_l, eta_u) in enumerate(grid.points):
            here = {name: value[p] for name, value in values.items()}
            for m, method in enumerate(grid.methods):
                row = {
                    **setup,
                    "eta_l": f"{eta_l:g}",
                    "eta_u": f"{eta_u:g}",
                    "method": method,
                    "seeds": int(np.isfinite(here["worst_group"][m]).sum()),
                    "seeds_asked": len(grid.seeds),
                    "n_smallest": smallest_n(grid, p, m),
                    **({} if grid.measure.is_share else {"unit": f"{grid.measure.unit:g}"}),
                }
                out.append({**row, **dict(_aggregates(grid, here, p, m))})
    return pd.DataFrame(out)


def _aggregates(
    grid: Grid, values: Mapping[str, Floats], p: int, m: int
) -> Iterator[tuple[str, str]]:
    """Column and text of each aggregate of one point and method. values: metric -> (M, S)."""
    for name, value in values.items():
        yield from _interval(name, grid.measure.interval(value[m], grid.step()))
    yield "worst_group_bias", _text(float(mean_interval(grid.worst_group_bias[p, m]).mean))
    for name in ("average", "worst_group"):
        for column, other in (("gain", "teacher"), ("over_w2s", "w2s")):
            yield from _interval(f"{column}_{name}", _difference(grid, values[name], m, other))
    yield from _interval("pgr_average", _pgr(grid, values["average"], m))


def _interval(name: str, interval: Interval) -> Iterator[tuple[str, str]]:
    for suffix, value in zip(("", "_low", "_high"), interval[:3], strict=True):
        yield name + suffix, _text(float(value))


def _text(value: float) -> str:
    return "" if np.isnan(value) else fixed(value, 6)


def _difference(grid: Grid, value: Floats, m: int, method: str) -> Interval:
    other = grid.index(method)
    return paired_gain(value[m], np.nan if other is None else value[other])


def _pgr(grid: Grid, value: Floats, m: int) -> Interval:
    teacher, ceiling = grid.index("teacher"), grid.index("ceiling")
    if teacher is None or ceiling is None:
        return mean_interval(np.full(1, np.nan))
    return pgr_interval(value[m], value[teacher], value[ceiling])
