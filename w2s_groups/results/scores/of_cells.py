"""The measures of stored outputs as tables that are committed with a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results.columns import POINT, SETUP
from w2s_groups.results.outputs import FIELDS, CellOutputs
from w2s_groups.results.scores import calibration
from w2s_groups.results.scores.table import COLUMNS, PROBABILITIES, measured

DIAGRAM = ("teacher", "w2s", "selective")  # methods of the reliability diagram
LEADING = [*FIELDS, "method", "mix", "group"]
OF_BINS = [*SETUP, *POINT, "method", "group", "bin"]
_SUMS = ["n", "confidence", "right"]
_DIGITS = 6  # decimals that are kept, far below what float16 outputs can tell


class Scores(NamedTuple):
    """Measures of stored outputs.

    table: a row a cell, method and mix or group: LEADING, n, and the measures that fit its kind;
    NaN is missing. bins: a row a point, method of DIAGRAM, group and bin that is not empty:
    OF_BINS, test rows n over all seeds, and sums over them of confidence and right decisions.
    """

    table: pd.DataFrame
    bins: pd.DataFrame


def scored(cells: Iterable[CellOutputs], shown: pd.DataFrame | None = None) -> Scores | None:
    """Of the outputs of cells; None without any.

    shown: rows of `cell`, `method` and `shown`, the name under which a report shows it; None: all
    methods by their own names.
    """
    names = None if shown is None else _names(shown)
    rows: list[dict[str, Any]] = []
    bins: list[pd.DataFrame] = []
    for cell in cells:
        taken = {m: m for m in cell.values} if names is None else names.get(cell.key, {})
        values = {own: cell.proba(m) for own, m in taken.items() if m in cell.values}
        of = cell.samples
        found = measured(values, cell.kind, of.truth, of.codes, of.coding)
        rows += [{**cell.fields, **row} for row in found]
        if cell.kind == PROBABILITIES:
            bins += [
                _bins(proba, cell).assign(method=name)
                for name, proba in values.items()
                if name in DIAGRAM
            ]
    if not rows:
        return None
    table = pd.DataFrame(rows)
    measures = [name for name in COLUMNS if name in table]
    every = pd.concat(bins) if bins else pd.DataFrame(columns=[*OF_BINS, *_SUMS])
    summed = every.groupby(OF_BINS, as_index=False)[_SUMS].sum()
    return Scores(canonical(table[[*LEADING, "n", *measures]], LEADING), canonical(summed, OF_BINS))


def canonical(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The table in one order of rows, measures rounded to what is kept of them.

    InputError where it lacks a column or holds a row twice.
    """
    absent = [name for name in keys if name not in table]
    if absent or table.duplicated(keys).any():
        what = f"lacks the columns {', '.join(absent)}" if absent else "holds a row twice"
        raise InputError(f"a table of outputs {what}; run the experiment again")
    digits = dict.fromkeys((name for name in table if name not in keys), _DIGITS)
    return table.sort_values(keys, kind="stable", ignore_index=True).round(digits)


def _names(shown: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Key of a cell -> name in the report -> method."""
    return {
        str(key): dict(zip(rows["shown"], rows["method"], strict=True))
        for key, rows in shown.groupby("cell")
    }


def _bins(proba: np.ndarray[Any, np.dtype[np.float64]], cell: CellOutputs) -> pd.DataFrame:
    """Bins of each group that are not empty."""
    frames = []
    of = cell.samples
    for g, group in enumerate(of.coding.names):
        here = of.codes == g
        found = calibration.bins(proba[here], of.truth[here], np.ones(int(here.sum())))
        frame = pd.DataFrame(dict(zip(_SUMS, found, strict=True)))
        frame = frame.assign(bin=frame.index, group=group)
        frames.append(frame[frame["n"] > 0].astype({"n": "int64"}))
    fields = {name: cell.fields[name] for name in (*SETUP, *POINT)}
    return pd.concat(frames, ignore_index=True).assign(**fields)
