"""How far fine-tuning is from the kernel regime, of a run that measured it on its way."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.reports.comparisons import runs
from w2s_groups.reports.section import Section
from w2s_groups.results.columns import LAZINESS, POINT, SETUP, STEP
from w2s_groups.results.format import BLANK, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.resampled import corrected_interval
from w2s_groups.results.stats import Floats, Interval, mean_interval

_UNIT = {"movement": 1e-3}  # which three decimals would show as 0
_TEXT = (
    "Movement is ‖θ − θ0‖ / ‖θ0‖ of the network's weights, in thousandths. Agreement is the share "
    "of test {noun}s that the linearised network decides alike after the same steps. Alignment is "
    "the CKA of tangent features with those before the first step. Lazy training has movement near "
    "0 and the other two near 1 (docs/finetuning.md).",
    "Mean over {runs} ± half the width of its 95 % interval. Heads that were not trained by steps "
    "are absent.",
)


def of_grid(grid: Grid, table: pd.DataFrame) -> list[Section]:
    """A row a point, method and step; empty where nothing was measured."""
    own = table[(table["split"] == "fit") & table["metric"].isin(LAZINESS)]
    setup = (grid.data, grid.teacher, grid.student, grid.n_l, grid.n_u)
    for name, value in zip(SETUP, setup, strict=True):
        own = own[own[name] == value]
    if own.empty:
        return []
    own = own.assign(step=own["group"].str.removeprefix(STEP).astype(int))
    rows = []
    for eta_l, eta_u in grid.points:
        at = own[(own[POINT[0]] == eta_l) & (own[POINT[1]] == eta_u)]
        for method in grid.methods:
            of = at[at["method"] == method]
            for step in sorted(of["step"].unique()):
                there = of[of["step"] == step]
                cells = [_cell(grid, there, name) for name in LAZINESS]
                rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(method), str(step), *cells))
    text = tuple(sentence.format(noun=grid.noun, runs=runs(grid)) for sentence in _TEXT)
    header = ("η_ℓ", "η_u", "method", "step", *(f"{n}, ‰" * (n in _UNIT) or n for n in LAZINESS))
    return [Section("Is training lazy?", text, header=header, rows=tuple(rows), keys=2)]


def _cell(grid: Grid, there: pd.DataFrame, name: str) -> str:
    """The mean of a measure with its interval, cut to what it can be."""
    own = there[there["metric"] == name]["value"]
    value: Floats = own.to_numpy(dtype=np.float64) / _UNIT.get(name, 1.0)
    if not np.isfinite(value).any():
        return BLANK
    share = grid.test_share
    whole = mean_interval(value) if share is None else corrected_interval(value, share)
    low, high = np.maximum(whole.low, 0.0), np.minimum(whole.high, LAZINESS[name])
    return plus_minus(Interval(whole.mean, low, high, whole.n))
