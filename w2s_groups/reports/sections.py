"""The sections of one setup, which Markdown and the HTML page render."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from w2s_groups.reports.against import against
from w2s_groups.reports.by_group import by_group
from w2s_groups.reports.comparisons import (
    SHOWN,
    at_point,
    group_labels_used,
    label,
    population,
    rising,
    runs,
)
from w2s_groups.reports.excess import excess
from w2s_groups.reports.section import Section
from w2s_groups.reports.selection import draws, kept_labels, kept_mix
from w2s_groups.reports.summary import difference_names, differences, summary
from w2s_groups.reports.unusual import agreement
from w2s_groups.reports.variance import uncertainty
from w2s_groups.reports.verdict import sentences
from w2s_groups.results.format import BLANK, bracket, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import pgr_interval


def setup_name(grid: Grid) -> str:
    """`teacher → student, n_ℓ = 300, n_u = 1000`."""
    return f"{grid.teacher} → {grid.student}, n_ℓ = {grid.n_l}, n_u = {grid.n_u}"


def of_setup(grid: Grid, figure: str, settings: Mapping[str, Any]) -> list[Section]:
    """Everything about one setup, its name and verdict first; figure: a file name, "" for none."""
    bars = (
        f"Difference to the teacher in the same cell; 95 % intervals {population(grid)} as bands "
        "or bars."
    )
    gain = Section("Gain over the teacher", (bars,), figure=figure, kind="gain")
    return [
        Section(f"{grid.data}: {setup_name(grid)}", bullets=tuple(sentences(grid))),
        summary(grid),
        *excess(grid, settings),
        *against(grid),
        *agreement(grid),
        *([gain] if figure else []),
        _leaderboard(grid),
        by_group(grid),
        *uncertainty(grid),
        *kept_mix(grid),
        *kept_labels(grid),
        *draws(grid),
        _missing(grid, settings),
    ]


def _leaderboard(grid: Grid) -> Section:
    """A row for each point and method."""
    rows = [
        (
            f"{eta_l:g}",
            f"{eta_u:g}",
            label(method, grid),
            group_labels_used(method, grid),
            *_cells(grid, p, m),
        )
        for p, (eta_l, eta_u) in enumerate(grid.points)
        for m, method in enumerate(grid.methods)
    ]
    average, worst, *others = SHOWN.values()
    labels = ("η_ℓ", "η_u", "method", "group labels used")
    means = (average, worst, "n", *others)
    return Section(
        "Leaderboard",
        (
            f"Mean over {runs(grid)} ± half the width of its 95 % interval; n is the smallest test "
            "group.",
        ),
        header=(*labels, *means, *difference_names(grid), "PGR, average", "seeds"),
        rows=tuple(rows),
        keys=2,
        kind="main",
        labels=len(labels),
        rising=rising(grid),
    )


def _cells(grid: Grid, p: int, m: int) -> list[str]:
    """The numbers of one point and method."""
    method = grid.methods[m]
    cells = [plus_minus(at_point(grid, metric, p, method)) for metric in SHOWN]
    cells.insert(2, str(smallest_n(grid, p, m)))
    cells += [
        BLANK if method == other else bracket(at_point(grid, metric, p, method, other))
        for other, metric in differences(grid)
    ]
    average, pgr = grid.metric("average")[p], BLANK
    teacher, ceiling = grid.index("teacher"), grid.index("ceiling")
    if teacher is not None and ceiling is not None and m not in (teacher, ceiling):
        share = pgr_interval(average[m], average[teacher], average[ceiling], grid.widening)
        pgr = bracket(share, False)
    ran = int(np.isfinite(average[m]).sum())
    return [*cells, pgr, f"{ran} of {len(grid.seeds)}"]


def smallest_n(grid: Grid, p: int, m: int) -> int:
    """Images in the smallest test group of the runs of one point and method; 0: one is absent."""
    ran = ~np.isnan(grid.accuracy[p, m]).all(axis=-1)
    return int(grid.n[p, m][ran].min()) if ran.any() else 0


def _missing(grid: Grid, settings: Mapping[str, Any]) -> Section:
    lines = _never_made(grid, settings)
    if not grid.missing and not lines:
        return Section("Missing runs", ("None: every method has a number in every cell.",))
    lines += [
        f"η_ℓ = {run.eta_l:g}, η_u = {run.eta_u:g}, {method_label(run.method)}, "
        f"seed{'s' if len(run.seeds) > 1 else ''} {', '.join(map(str, run.seeds))}: {run.reason}"
        for run in grid.missing
    ]
    return Section("Missing runs", ("No mean above contains these.",), tuple(lines))


def _never_made(grid: Grid, settings: Mapping[str, Any]) -> list[str]:
    """Points, methods and seeds that the settings ask for and that the table has no row of."""
    etas = [settings.get(name) for name in ("eta_l", "eta_u")]
    lists = [value for value in etas if isinstance(value, list | tuple)]
    points = product(*lists) if len(lists) == len(etas) else []
    methods = settings.get("methods") or {}
    seeds = settings.get("seeds")
    return [
        *(
            f"η_ℓ = {eta_l:g}, η_u = {eta_u:g}: no run of any method"
            for eta_l, eta_u in points
            if (eta_l, eta_u) not in grid.points
        ),
        *(f"{method_label(name)}: no run" for name in methods if name not in grid.methods),
        *(
            f"seed {seed}: no run"
            for seed in (seeds if isinstance(seeds, list | tuple) else [])
            if seed not in grid.seeds
        ),
    ]
