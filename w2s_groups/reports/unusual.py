"""Unusual results of a grid in sentences, each computed from the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.text import count
from w2s_groups.reports.section import Section
from w2s_groups.results.format import fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Floats, wilson

ALIKE = 0.95  # share of test rows from which two methods are said to agree
_NAMED = 3  # so many methods or pairs are named, of more of them the first

Bools = NDArray[np.bool_]


def unusual(grid: Grid) -> list[str]:
    """Sentences on absent groups, constant predictions, accuracies below chance, and more.

    Also on kept sets of one class, upweighted rows, and methods that decide alike.
    """
    if not grid.measure.is_share:  # the rest is about classes
        return _absent(grid)
    return [
        *_absent(grid),
        *_one_class(grid),
        *_kept_one_class(grid),
        *_below_chance(grid),
        *_upweighted(grid),
        *_agree(grid),
    ]


def agreement(grid: Grid) -> list[Section]:
    """All pairs of methods that decide alike on ALIKE of the test rows or more."""
    rows = tuple(
        (method_label(one), method_label(two), f"{fixed(100 * share, 2)} %", str(runs))
        for one, two, share, runs in _pairs(grid)
    )
    if not rows:
        return []
    text = (
        f"Pairs that decide alike on {100 * ALIKE:.0f} % or more of all test rows, mean over all "
        "runs that have both."
    )
    header = ("method", "other method", "test rows decided alike", "runs")
    return [Section("Methods that agree", (text,), header=header, rows=rows)]


def _absent(grid: Grid) -> list[str]:
    names = [
        name for g, name in enumerate(grid.groups) if _ran(grid).any() and not grid.n[..., g].any()
    ]
    if not names:
        return []
    groups = f"the group {names[0]}" if len(names) == 1 else f"the groups {', '.join(names)}"
    return [
        f"The test set has no row of {groups}: means that need it are blank, and the worst group "
        f"is the {grid.measure.worst} of the others."
    ]


def _one_class(grid: Grid) -> list[str]:
    there = (grid.n > 0) & ~np.isnan(grid.accuracy)
    hits = _of_one_class(grid, grid.accuracy, there) & (_classes(grid, there) > 1)
    what = "every test row the same class"
    if len(set(grid.y.tolist())) > 2:
        # Of more than two classes the wrong answers could differ.
        what = "right on all test rows of one class and wrong on all others"
        return list(_in_runs(grid, hits, _ran(grid), f"is {what}", f"are {what}"))
    return list(_in_runs(grid, hits, _ran(grid), f"gives {what}", f"give {what}"))


def _kept_one_class(grid: Grid) -> list[str]:
    if len(set(grid.y.tolist())) < 2:
        return []
    there = grid.kept_n > 0
    ran = np.asarray(there.any(axis=-1))
    what = "only rows whose true class is the same"
    lines = [*_in_runs(grid, _classes(grid, there) == 1, ran, f"keeps {what}", f"keep {what}")]
    if len(set(grid.y.tolist())) == 2:  # then a wrong label is the other class
        hits = _of_one_class(grid, grid.pseudo["kept"], there)
        what = "only rows whose pseudolabel is the same"
        lines += _in_runs(grid, hits, ran, f"keeps {what}", f"keep {what}")
    return lines


def _below_chance(grid: Grid) -> list[str]:
    """By the mean over the grid, classes weighing the same, where Wilson's interval says so."""
    there = np.asarray((grid.n > 0).any(axis=(0, 1, 2)))
    classes = sorted(set(grid.y.tolist()))
    if len(classes) < 2 or set(grid.y[there].tolist()) != set(classes):
        return []
    weights = np.array(
        [in_test / (there & (grid.y == y)).sum() for y, in_test in zip(grid.y, there, strict=True)]
    ) / len(classes)
    n = grid.n.max(axis=(0, 1, 2))[there]
    size = int(1 / (weights[there] ** 2 / n).sum())
    means = grid.over_points(np.where(there, grid.accuracy, 0.0) @ weights)
    lines = []
    for m, method in enumerate(grid.methods):
        mean = float(means[m].mean()) if means[m].size else np.nan
        if np.isnan(mean) or not wilson(np.clip(mean, 0.0, 1.0), size).high < 1 / len(classes):
            continue
        lines.append(
            f"{method_label(method)} is below chance on a balanced test: accuracy "
            f"{fixed(mean)}, where guessing reaches {fixed(1 / len(classes))} (n = {int(n.sum())})."
        )
    return lines


def _upweighted(grid: Grid) -> list[str]:
    lines = []
    for m, method in enumerate(grid.methods):
        runs = grid.upweighted[:, m]
        rows = runs[~np.isnan(runs).any(axis=-1)].sum(axis=-1)
        if not rows.size:
            continue
        none = int((rows == 0).sum())
        name, of = method_label(method), f"of the {grid.n_u} unlabelled rows"
        if none == rows.size:
            lines.append(f"{name} upweights none {of} in all of {count(none, 'run')}.")
            continue
        lines.append(
            f"{name} upweights {fixed(float(rows.mean()), 1)} {of} on average "
            f"({int(rows.min())} to {int(rows.max())})"
            + (f", none in {none} of {rows.size} runs." if none else ".")
        )
    return lines


def _agree(grid: Grid) -> list[str]:
    pairs = list(_pairs(grid))
    if len(pairs) > _NAMED:
        one, two, share, _ = pairs[0]
        return [
            f"{len(pairs)} pairs of methods agree on {100 * ALIKE:.0f} % or more of all test rows, "
            f"most of all {method_label(one)} and {method_label(two)} "
            f"({fixed(100 * share, 1)} %): the report lists them."
        ]
    return [
        f"{method_label(one)} and {method_label(two)} agree on "
        f"{fixed(100 * share, 1)} % of all test rows (mean over {count(runs, 'run')})."
        for one, two, share, runs in pairs
    ]


def _pairs(grid: Grid) -> list[tuple[str, str, float, int]]:
    """(method, method, mean share of test rows decided alike, runs), the most alike first."""
    pairs = []
    for i, one in enumerate(grid.methods):
        for j, two in enumerate(grid.methods[i + 1 :], i + 1):
            shares = grid.agreement[:, i, j]
            shares = shares[~np.isnan(shares)]
            mean = round(float(shares.mean()), 12) if shares.size else 0.0
            if mean >= ALIKE:
                pairs.append((one, two, mean, int(shares.size)))
    return sorted(pairs, key=lambda pair: -pair[2])


def _ran(grid: Grid) -> Bools:
    """(P, M, S) runs that have a number."""
    return np.asarray(~np.isnan(grid.accuracy).all(axis=-1))


def _classes(grid: Grid, there: Bools) -> NDArray[np.int64]:
    """(...) number of classes among the groups `there` (..., G)."""
    each = [(there & (grid.y == label)).any(axis=-1) for label in np.unique(grid.y)]
    return np.asarray(np.sum(each, axis=0), dtype=np.int64)


def _of_one_class(grid: Grid, accuracy: Floats, there: Bools) -> Bools:
    """(...) whether the groups `there` (..., G) are all right in one class, all wrong in others."""
    constant = [
        (~there | (accuracy == (grid.y == label))).all(axis=-1) for label in np.unique(grid.y)
    ]
    return np.asarray(np.any(constant, axis=0) & there.any(axis=-1))


def _in_runs(grid: Grid, hits: Bools, ran: Bools, one: str, many: str) -> Iterator[str]:
    """`W2S and hard give every test row the same class in 3 of 8 runs.`; hits, ran: (P, M, S)."""
    of: dict[tuple[int, int], list[str]] = {}
    for m, method in enumerate(grid.methods):
        k, runs = int(hits[:, m].sum()), int(ran[:, m].sum())
        if k:
            of.setdefault((k, runs), []).append(method_label(method))
    for (k, runs), names in of.items():
        verb = one if len(names) == 1 else many
        yield f"{_listed(names)} {verb} in {k} of {count(runs, 'run')}."


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; of more than _NAMED + 1 the first and how many others."""
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} other methods"]
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
