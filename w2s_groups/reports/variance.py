"""What the intervals of a grid hold for, and the sources of their uncertainty."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import RANKED, SHOWN, difference, means
from w2s_groups.reports.section import Section
from w2s_groups.results.crossed import Crossed, Parts, variance
from w2s_groups.results.format import BLANK, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.quantity import Quantity

_METHODS = ("teacher", "w2s", "selective", "ceiling")
_PAIRS = (("w2s", "teacher"), ("selective", "w2s"))
_PARTS = ("identities", "places", "draws", "pool")


def uncertainty(grid: Grid) -> list[Section]:
    """What the intervals hold for, and under crossed folds the parts of their variance."""
    text = _population(grid)
    if grid.crossed is None:
        return [Section("What the intervals hold for", text)]
    rows = []
    for metric in RANKED:
        for method in [name for name in _METHODS if name in grid.methods]:
            of_method = means(grid, metric).at(grid.methods.index(method))
            rows.append((SHOWN[metric], method_label(method), *_cells(grid.crossed, of_method)))
        for pair in [pair for pair in _PAIRS if set(pair) <= set(grid.methods)]:
            name = " − ".join(map(method_label, pair))
            rows.append(
                (SHOWN[metric], name, *_cells(grid.crossed, difference(grid, metric, *pair)))
            )
    header = ("accuracy", "of", *_PARTS, "all", "df")
    return [Section("What the intervals hold for", text, header=header, rows=tuple(rows), keys=1)]


def _cells(crossed: Crossed, quantity: Quantity) -> list[str]:
    """The standard error of a mean over the grid by its parts, the whole, and its df."""
    assert quantity.contrast is not None
    parts: Parts = variance(crossed, quantity.contrast)
    each = [float(getattr(parts, name)) for name in (*_PARTS, "total")]
    errors = [BLANK if np.isnan(v) else fixed(float(np.sqrt(max(v, 0.0)))) for v in each]
    return [*errors, BLANK if np.isnan(parts.df) else fixed(float(parts.df), 0)]


def _population(grid: Grid) -> tuple[str, ...]:
    noun = grid.noun
    if grid.test_share is None:
        return (
            f"Intervals are over draws of the labelled and unlabelled {noun}s from one pool, with "
            f"the same test {noun}s. They do not hold for other identities, places or pools: for "
            "these set splits=crossed where the data know identities and places, else "
            "splits=random.",
        )
    if grid.crossed is None:
        return (
            f"Intervals are over {count(len(set(grid.folds)), 'split')} into pool and test, by the "
            "corrected resampled t of Nadeau and Bengio (2003), whose factor is 1 / J + "
            f"{fixed(grid.widening, 2)} for J splits: splits share {noun}s, so their mean varies "
            f"more than independent ones. They hold for new pools, draws and test {noun}s.",
        )
    folds = grid.crossed.folds
    numbers = "; ".join(
        f"{group}: {_number(grid.crossed, g, 0)} identities, {_number(grid.crossed, g, 1)} places"
        for g, group in enumerate(grid.groups)
    )
    audit = (
        "Pool: which identities are there to learn from, measured with halves of each pool at the "
        "last point of the grid."
        if grid.crossed.audits
        else "How much it matters which identities are there to learn from was not measured: "
        "intervals hold for this pool of identities."
    )
    return (
        f"{folds[0]} x {folds[1]} crossed folds: every {noun} is tested once, by heads that saw "
        "neither its identity nor its place. Standard errors of means over the grid, by source: "
        "which identities and which places are tested, which sets are drawn, and which pool they "
        f"are drawn from. {audit} The whole is not their sum: identities and places share a part. "
        "The group that is lowest counts as fixed in this table.",
        f"Tested: {numbers}.",
    )


def _number(crossed: Crossed, g: int, side: int) -> int:
    codes = (crossed.identity, crossed.place)[side]
    return len(np.unique(codes[crossed.group == g]))
