"""Risks of a numeric target: against the best that is known, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from w2s_groups.reports.section import Section
from w2s_groups.results import risks
from w2s_groups.results.format import BLANK, fixed, plus_minus
from w2s_groups.results.grid import Floats, Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.quantity import Quantity
from w2s_groups.results.stats import FEWEST

REFERENCE = "ceiling"


def excess(grid: Grid, settings: Mapping[str, Any]) -> list[Section]:
    """A row a method: risk and excess risk on average, of the worst, of the best and of each group.

    Empty for accuracies.
    """
    if grid.measure.is_share:
        return []
    target = (settings.get("target") or {}).get(grid.data) or {}
    variance = float(target.get("variance", np.nan)) / grid.measure.unit
    above = above_reference(grid, target.get("noise"))
    rows = []
    for m, method in enumerate(grid.methods):
        levels = {name: _level(grid, of(grid, grid.accuracy), m) for name, of in _OVER.items()}
        cells = [plus_minus(level) for level in levels.values()]
        cells.append(fixed(float(levels["average"].mean) / variance))
        if above is not None:
            shown = [of(grid, above) for of in _OVER.values()]
            shown += [above[..., g] for g in range(len(grid.groups))]
            itself = method == REFERENCE and target.get("noise") is None
            cells += [BLANK if itself else plus_minus(_level(grid, s, m)) for s in shown]
        rows.append((method_label(method), *cells))
    of_excess = [] if above is None else [f"excess, {n}" for n in (*_OVER, *grid.groups)]
    header = ("method", *(f"risk, {name}" for name in _OVER), "average / variance", *of_excess)
    text = (_units(grid, variance), _reference(grid, target.get("noise")))
    return [
        Section("Risk and excess risk", text, header=header, rows=tuple(rows), rising=header[1:])
    ]


def above_reference(grid: Grid, noise: float | None) -> Floats | None:
    """(P, M, S, G) minus the excess risks; None where no reference is known.

    noise: variance of the target around the best prediction; None: the ceiling of the same cell
    stands for the best.
    """
    if noise is not None:
        return np.asarray(grid.accuracy + noise / grid.measure.unit, dtype=np.float64)
    ceiling = grid.index(REFERENCE)
    if ceiling is None:
        return None
    return np.asarray(grid.accuracy - grid.accuracy[:, ceiling, None], dtype=np.float64)


def _average(grid: Grid, scores: Floats) -> Floats:
    return risks.eta_mean(scores, grid.y, grid.minority, 0.5, grid.class_prior)


def _extreme(scores: Floats, sign: int) -> Floats:
    """(P, M, S, G) -> (P, M, S): of the group with the lowest mean over runs of sign * scores."""
    there = np.isfinite(scores)
    mean = np.where(there, scores, 0.0).sum(axis=2) / np.maximum(there.sum(axis=2), 1)
    group = np.where(there.any(axis=2), sign * mean, np.inf).argmin(axis=-1)
    found = np.take_along_axis(scores, group[:, :, None, None], axis=-1)[..., 0]
    return np.asarray(found, dtype=np.float64)


# Aggregates over groups: (P, M, S, G) scores -> (P, M, S).
_OVER: dict[str, Callable[[Grid, Floats], Floats]] = {
    "average": _average,
    "worst group": lambda _, scores: _extreme(scores, 1),
    "best group": lambda _, scores: _extreme(scores, -1),
}


def _level(grid: Grid, scores: Floats, m: int) -> Any:
    """Interval over seeds of minus the scores (P, M, S) of one method."""
    return Quantity(grid, -grid.over_points(scores)[m]).difference()


def _units(grid: Grid, variance: float) -> str:
    unit = f", here in units of {grid.measure.unit:g}" if grid.measure.unit != 1 else ""
    text = (
        "Risk is the mean squared error on test rows, in the unit of the target squared"
        f"{unit}. Mean over the points and seeds of the summary."
    )
    if np.isnan(variance):
        return text
    return (
        f"{text} Over the pool the target has a variance of {fixed(variance)}, the risk of its "
        "mean; average / variance is 1 − R² where the test rows are as varied as the pool."
    )


def _reference(grid: Grid, noise: float | None) -> str:
    if noise is not None:
        return (
            f"Excess risk is the risk above {fixed(noise / grid.measure.unit)}, the variance of "
            "the target's noise: exact for these simulated data, and the least that any head can "
            "have. Worst and best group: of each point those with the highest and the lowest mean."
        )
    if grid.index(REFERENCE) is None:
        return "Without the ceiling among the methods there is nothing to take an excess over."
    return (
        "Excess risk is the risk above that of the ceiling in the same cell, the student on the "
        "true targets of the unlabelled set: of real data nothing better is known. The ceiling has "
        "an error of its own, so the excess over the best possible prediction is larger. Worst and "
        "best group are those of each point with the highest and the lowest mean excess."
    )


def reading_of_risks(noun: str) -> Section:
    """Meaning of the numbers of a numeric target, and of their intervals."""
    lines = [
        "Heads learn a numeric target by squared loss. Average is the risk (mean squared error) at "
        "a test mix of η_t = 1/2, minority at η_t = 1, majority at η_t = 0, each exact from the "
        "risks of the groups. Worst group is the group with the highest mean risk. In small groups "
        "it is biased high.",
        "Every difference is a gain: teacher − method in the same cell, so that positive is "
        "better; over W2S is W2S − method. PGR is (teacher − method) / (teacher − ceiling) of the "
        "mean risks with Fieller's interval. It is blank unless teacher − ceiling is significantly "
        f"positive: its interval lies above 0, with {FEWEST} seeds or more.",
        "Intervals are 95 % Student t intervals over seeds; those of risks end at 0. A seed "
        "redraws the labelled and the unlabelled set from one fixed pool; the test "
        f"{noun}s stay. So intervals cover the draws, not the choice of test {noun}s. Intervals "
        "per point are not corrected for their number.",
        "Words such as beats, rises or falls short are used where a paired t test over seeds is "
        f"significant at 5 %, with {FEWEST} seeds or more; is the best where no other rank remains "
        "open. Ranks are by the lower risk.",
    ]
    return Section("How to read this", bullets=tuple(lines))
