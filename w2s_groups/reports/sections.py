"""What a report says of one setup, laid out once and rendered as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from w2s_groups.reports.section import Section
from w2s_groups.reports.summary import (
    SHOWN,
    against,
    by_group,
    difference_names,
    differences,
    summary,
)
from w2s_groups.reports.unusual import agreement
from w2s_groups.reports.verdict import groups_told, sentences
from w2s_groups.results.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import accuracy_interval, mean_interval, paired_gain, pgr_interval


def setup_name(grid: Grid) -> str:
    """`teacher → student, n_ℓ = 300, n_u = 1000`."""
    return f"{grid.teacher} → {grid.student}, n_ℓ = {grid.n_l}, n_u = {grid.n_u}"


def of_setup(grid: Grid, figure: str, settings: Mapping[str, Any]) -> list[Section]:
    """Everything about one setup, its name and verdict first; figure: a file name, "" for none."""
    bars = "Difference to the teacher in the same cell; 95 % intervals over seeds as bands or bars."
    gain = Section("Gain over the teacher", (bars,), figure=figure, kind="gain")
    return [
        Section(f"{grid.data}: {setup_name(grid)}", bullets=tuple(sentences(grid))),
        summary(grid),
        *against(grid),
        *agreement(grid),
        *([gain] if figure else []),
        _leaderboard(grid),
        by_group(grid),
        *_kept(grid),
        *_kept_labels(grid),
        *_drawn(grid),
        _missing(grid, settings),
    ]


def _leaderboard(grid: Grid) -> Section:
    values = {metric: grid.metric(metric) for metric in SHOWN}
    teacher, ceiling = grid.index("teacher"), grid.index("ceiling")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        for m, method in enumerate(grid.methods):
            cells = [
                plus_minus(accuracy_interval(values[metric][p, m], grid.step())) for metric in SHOWN
            ]
            cells.insert(2, str(smallest_n(grid, p, m)))
            cells.insert(0, groups_told(method, grid))
            for other, metric in differences(grid):
                value = values[metric][p]
                gain = paired_gain(value[m], value[grid.methods.index(other)])
                cells.append(BLANK if method == other else bracket(gain))
            average, pgr = values["average"][p], BLANK
            if teacher is not None and ceiling is not None and m not in (teacher, ceiling):
                pgr = bracket(pgr_interval(average[m], average[teacher], average[ceiling]), False)
            ran = int(np.isfinite(values["worst_group"][p, m]).sum())
            cells += [pgr, f"{ran} of {len(grid.seeds)}"]
            rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(method), *cells))
    average, worst, *others = SHOWN.values()
    means = (average, worst, "n", *others)
    leading = ("η_ℓ", "η_u", "method", "group labels used")
    return Section(
        "Leaderboard",
        ("Mean over seeds ± half the width of its 95 % interval; n is the smallest test group.",),
        header=(*leading, *means, *difference_names(grid), "PGR, average", "seeds"),
        rows=tuple(rows),
        keys=2,
        kind="main",
    )


def smallest_n(grid: Grid, p: int, m: int) -> int:
    """Images in the smallest test group of the runs of one point and method; 0: one is absent."""
    ran = ~np.isnan(grid.accuracy[p, m]).all(axis=-1)
    return int(grid.n[p, m][ran].min()) if ran.any() else 0


def _kept(grid: Grid) -> list[Section]:
    """Group mix of each kept set beside the mix it was chosen from."""
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        drawn = grid.drawn["unlabelled"][p]  # (S, G)
        share = drawn / drawn.sum(axis=-1, keepdims=True)
        for m, method in enumerate(grid.methods):
            kept = grid.kept_share[p, m]
            if np.isnan(kept).all():
                continue
            mix = [
                f"{fixed(float(mean_interval(kept[:, g]).mean))} "
                f"({fixed(float(mean_interval(share[:, g]).mean))})"
                for g in range(len(grid.groups))
            ]
            few = kept[:, grid.minority].sum(axis=-1) - share[:, grid.minority].sum(axis=-1)
            rows.append(
                (
                    f"{eta_l:g}",
                    f"{eta_u:g}",
                    method_label(method),
                    *mix,
                    bracket(mean_interval(few)),
                )
            )
    if not rows:
        return []
    text = "Share of each group in the kept set, and in the unlabelled set it was kept from."
    header = ("η_ℓ", "η_u", "method", *grid.groups, "minority share, kept − drawn")
    title = "What selection keeps"
    return [Section(title, (text,), (), "", header, tuple(rows), 2, "kept")]


def _kept_labels(grid: Grid) -> list[Section]:
    """How right the labels of each kept set are, beside all of the teacher's."""
    teacher = grid.index("teacher")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        for m, method in enumerate(grid.methods):
            kept = grid.pseudo["kept"][p, m]
            if np.isnan(kept).all() or teacher is None:
                continue
            every, n = grid.pseudo["unlabelled"][p, teacher], grid.kept_n[p, m]
            cells = []
            for g in range(len(grid.groups)):
                # Over images, not over seeds: a seed may have kept none or one of a group.
                total = int(n[:, g].sum())
                pooled = np.nansum(kept[:, g] * n[:, g]) / total if total else np.nan
                whole = float(mean_interval(every[:, g]).mean)
                cells.append(f"{fixed(float(pooled))} of {total} ({fixed(whole)})")
            rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(method), *cells))
    if not rows:
        return []
    text = (
        f"Accuracy of the labels of all {grid.noun}s that any seed kept, and their number; in "
        "brackets the teacher's accuracy on the whole unlabelled set."
    )
    header = ("η_ℓ", "η_u", "method", *grid.groups)
    return [Section("How right the kept labels are", (text,), (), "", header, tuple(rows), 2)]


def _drawn(grid: Grid) -> list[Section]:
    """Realised counts, and how right the teacher's labels are in each group."""
    teacher = grid.index("teacher")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        cells = []
        for g in range(len(grid.groups)):
            labelled, unlabelled = (_whole(grid.drawn[split][p, :, g]) for split in grid.drawn)
            cells.append(f"{labelled} + {unlabelled}")
            if teacher is not None:
                right = accuracy_interval(grid.pseudo["unlabelled"][p, teacher, :, g])
                cells[-1] += f": {plus_minus(right)}"
        rows.append((f"{eta_l:g}", f"{eta_u:g}", *cells))
    if all(np.isnan(counts).all() for counts in grid.drawn.values()):
        return []
    text = (
        f"Labelled + unlabelled {grid.noun}s drawn: accuracy of the teacher's labels on the "
        "unlabelled."
    )
    return [Section("Draws", (text,), header=("η_ℓ", "η_u", *grid.groups), rows=tuple(rows))]


def _whole(counts: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    there = counts[~np.isnan(counts)]
    if not there.size:
        return BLANK
    low, high = int(there.min()), int(there.max())
    return str(low) if low == high else f"{low} to {high}"


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
    """What the settings ask for and the table knows nothing of."""
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
