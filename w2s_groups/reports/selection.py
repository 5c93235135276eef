"""Group mixes of drawn and kept sets, and the accuracy of their labels."""

from __future__ import annotations

import numpy as np

from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Floats, mean_interval


def kept_mix(grid: Grid) -> list[Section]:
    """Group mix of each kept set, with the mix that it was chosen from; empty without kept sets."""
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        drawn = grid.drawn["unlabelled"][p]  # (S, G)
        share = drawn / drawn.sum(axis=-1, keepdims=True)
        for m, method in enumerate(grid.methods):
            kept = grid.kept_share[p, m]
            if np.isnan(kept).all():
                continue
            mix = [f"{_mean(kept[:, g])} ({_mean(share[:, g])})" for g in range(len(grid.groups))]
            few = kept[:, grid.minority].sum(axis=-1) - share[:, grid.minority].sum(axis=-1)
            cells = (method_label(method), *mix, bracket(mean_interval(few)))
            rows.append((f"{eta_l:g}", f"{eta_u:g}", *cells))
    if not rows:
        return []
    text = "Share of each group in the kept set, and in the unlabelled set it was kept from."
    header = ("η_ℓ", "η_u", "method", *grid.groups, "minority share, kept − drawn")
    title = "What selection keeps"
    return [Section(title, (text,), header=header, rows=tuple(rows), keys=2, kind="kept")]


def kept_labels(grid: Grid) -> list[Section]:
    """Accuracy of the labels of each kept set, and of all the teacher's labels."""
    teacher = grid.index("teacher")
    if teacher is None:
        return []
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        every = grid.pseudo["unlabelled"][p, teacher]
        for m, method in enumerate(grid.methods):
            right, n = grid.pseudo["kept"][p, m], grid.kept_n[p, m]
            if np.isnan(right).all():
                continue
            cells = []
            for g in range(len(grid.groups)):
                # Over images, not over seeds: a seed may have kept none or one of a group.
                total = int(n[:, g].sum())
                pooled = np.nansum(right[:, g] * n[:, g]) / total if total else np.nan
                cells.append(f"{fixed(float(pooled))} of {total} ({_mean(every[:, g])})")
            rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(method), *cells))
    if not rows:
        return []
    text = (
        f"Accuracy of the labels of all {grid.noun}s that any seed kept, and their number; in "
        "brackets the teacher's accuracy on the whole unlabelled set."
    )
    header = ("η_ℓ", "η_u", "method", *grid.groups)
    title = "How right the kept labels are"
    return [Section(title, (text,), header=header, rows=tuple(rows), keys=2)]


def draws(grid: Grid) -> list[Section]:
    """Realised counts, and the accuracy of the teacher's labels in each group."""
    if all(np.isnan(counts).all() for counts in grid.drawn.values()):
        return []
    teacher = grid.index("teacher")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        cells = []
        for g in range(len(grid.groups)):
            labelled, unlabelled = (_whole(grid.drawn[split][p, :, g]) for split in grid.drawn)
            cells.append(f"{labelled} + {unlabelled}")
            if teacher is not None:
                right = grid.measure.interval(grid.pseudo["unlabelled"][p, teacher, :, g])
                cells[-1] += f": {plus_minus(right)}"
        rows.append((f"{eta_l:g}", f"{eta_u:g}", *cells))
    text = (
        f"Labelled + unlabelled {grid.noun}s drawn: {grid.measure.metric} of the teacher's labels "
        "on the unlabelled."
    )
    header = ("η_ℓ", "η_u", *grid.groups)
    return [Section("Draws", (text,), header=header, rows=tuple(rows), labels=2)]


def _mean(values: Floats) -> str:
    return fixed(float(mean_interval(values).mean))


def _whole(counts: Floats) -> str:
    """`150`, or `149 to 151` where seeds differ."""
    there = counts[~np.isnan(counts)]
    if not there.size:
        return BLANK
    low, high = int(there.min()), int(there.max())
    return str(low) if low == high else f"{low} to {high}"
