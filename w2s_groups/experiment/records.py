"""Rows of the long table for one cell, without the cell's own columns."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.design import sampling
from w2s_groups.design.groups import Groups
from w2s_groups.experiment.lockstep import Solved
from w2s_groups.experiment.pool import Pool
from w2s_groups.finetuning.solver import Scored
from w2s_groups.heads.problem import Head, Problem, Squared, choose
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Fitted
from w2s_groups.results.columns import ACCURACY, LAZINESS, RISK, RISK_ERROR, STEP
from w2s_groups.results.risks import accuracy_by_group, risk_by_group
from w2s_groups.results.tested import Counts

Record = dict[str, Any]


class Tested(NamedTuple):
    """A head on the test rows: (T,) its class of each, (G,) accuracy and n by group.

    Of a numeric target: None, (G,) risk and n by group, and the risk's standard error. output: as
    results.outputs stores it, of heads whose outputs are kept.
    """

    decided: NDArray[np.int16] | None
    value: NDArray[np.float64]
    n: NDArray[np.int64]
    error: NDArray[np.float64] | None = None
    output: NDArray[np.float16] | None = None


def of_cell(
    pool: Pool,
    draw: sampling.Draw,
    solved: Mapping[str, Solved],
    tested: Mapping[int, Tested],
    upweighting: Container[str],
) -> list[Record]:
    """Counts and pseudolabels of the draw, accuracies or risks of every method, and agreements.

    tested: id of a head -> its decisions. upweighting: methods whose weights single out rows.
    """
    records, metric = _of_draw(pool, draw, solved["teacher"].fitted), metric_of(pool)
    for name, (problem, fitted) in solved.items():
        on_test = tested[id(fitted.head)]
        records += by_group(pool.groups, name, "test", metric, on_test.value, on_test.n)
        if on_test.error is not None:
            records += by_group(pool.groups, name, "test", RISK_ERROR, on_test.error, on_test.n)
        if len(draw.validation):
            right = _quality(pool, draw.validation, fitted.proba(draw.validation))
            records += by_group(pool.groups, name, "validation", metric, *right)
        records += _of_problem(pool, draw, name, problem, fitted, name in upweighting)
        records += _of_steps(name, problem, fitted)
    return records + _agreements(solved, tested)


def by_identity(
    pool: Pool, decided: Mapping[str, NDArray[np.integer[Any]] | None]
) -> Counts | None:
    """How many test rows of each identity, place and group every method decides rightly.

    decided: method -> its class of each test row (T,). None where the pool does not know what its
    rows show, and of a numeric target.
    """
    if pool.origin is None or pool.target is not None:
        return None
    own = pool.origin.at(pool.test)
    shown = np.stack([own.identity, own.place, pool.codes[pool.test]], axis=1)
    distinct, pair = np.unique(shown, axis=0, return_inverse=True)
    pair, y = pair.reshape(-1), pool.y[pool.test]
    return Counts(
        tuple(own.identities[i] for i in distinct[:, 0]),
        tuple(own.places[i] for i in distinct[:, 1]),
        tuple(pool.groups.names[i] for i in distinct[:, 2]),
        np.bincount(pair, minlength=len(distinct)),
        {
            name: np.bincount(pair[classes == y], minlength=len(distinct))
            for name, classes in decided.items()
        },
    )


def of_failed(pool: Pool, failed: Iterable[str]) -> list[Record]:
    """Test rows of methods that failed: no value, though the groups have samples."""
    n = _counts(pool, pool.test)
    missing = np.full(pool.groups.n_groups, np.nan)
    return [
        row
        for name in failed
        for row in by_group(pool.groups, name, "test", metric_of(pool), missing, n)
    ]


def of_labelled(accuracies: Mapping[str, float], n: int) -> list[Record]:
    """Accuracies on n labelled images, of no group. accuracies: method -> value."""
    return [one(name, "labelled", "accuracy", value, n) for name, value in accuracies.items()]


def by_group(
    groups: Groups,
    method: str,
    split: str,
    metric: str,
    values: NDArray[Any],
    n: NDArray[np.int64],
) -> list[Record]:
    """One row a group. values, n: (G,); NaN is a group that is absent."""
    records = []
    for g, name in enumerate(groups.names):
        y, a = divmod(g, len(groups.attribute_names))
        value = float(values[g])
        records.append(
            {
                "method": method, "split": split, "metric": metric,
                "group": name, "y": y, "a": a, "minority": bool(groups.is_minority[g]),
                "value": None if np.isnan(value) else value, "n": int(n[g]),
            }
        )  # fmt: skip
    return records


def one(
    method: str, split: str, metric: str, value: float | None, n: int, group: str = "all"
) -> Record:
    """One row, of no group."""
    return {
        "method": method, "split": split, "metric": metric, "value": value, "n": n,
        "group": group, "y": -1, "a": -1, "minority": False,
    }  # fmt: skip


def _of_draw(pool: Pool, draw: sampling.Draw, teacher: Fitted) -> list[Record]:
    """Images of each group in both sets, and how right the teacher's pseudolabels are."""
    pseudo = _quality(pool, draw.unlabelled, teacher.proba(draw.unlabelled))
    return [
        *by_group(pool.groups, "teacher", "labelled", "count", draw.counts_l, draw.counts_l),
        *by_group(pool.groups, "teacher", "unlabelled", "count", draw.counts_u, draw.counts_u),
        *by_group(pool.groups, "teacher", "unlabelled", metric_of(pool), *pseudo),
    ]


def _of_problem(
    pool: Pool, draw: sampling.Draw, name: str, problem: Problem, fitted: Fitted, upweights: bool
) -> list[Record]:
    """What a method chose on its way: an l2, rows to weigh more, rows to keep."""
    records = []
    if isinstance(problem.loss, Squared) and problem.loss.l2_path:
        assert isinstance(fitted.head, Head)
        # As leave-one-out chose it.
        records.append(one(name, "fit", "l2", fitted.head.l2, len(problem.rows)))
    weights, counts = problem.weights, _counts(pool, problem.rows)
    if upweights and weights is not None:
        heavy = _counts(pool, problem.rows[weights > weights.min()])
        records += by_group(pool.groups, name, "upweighted", "count", heavy, counts)
    if (
        weights is None  # a head on weighted rows of a held-out part selects nothing
        and len(problem.rows) < len(draw.unlabelled)
        and np.isin(problem.rows, draw.unlabelled).all()
    ):
        right = _accuracy(pool, problem.rows, problem.targets.argmax(axis=1))
        records += by_group(pool.groups, name, "kept", "fraction", counts / counts.sum(), counts)
        records += by_group(pool.groups, name, "kept", "accuracy", *right)
    return records


def _of_steps(name: str, problem: Problem, fitted: Fitted) -> list[Record]:
    """What a fine-tuned fit measured on its way; a measure that is not defined has no row."""
    if not isinstance(fitted.head, Scored):
        return []
    return [
        one(name, "fit", metric, float(value), len(problem.rows), f"{STEP}{int(step)}")
        for step, *values in fitted.head.measured
        for metric, value in zip(LAZINESS, values, strict=True)
        if np.isfinite(value)
    ]


def _agreements(solved: Mapping[str, Solved], tested: Mapping[int, Tested]) -> list[Record]:
    """Share of test rows that two methods decide alike, of every pair.

    Of methods, not of their variants: pairs of those would outgrow all else.
    """
    decided = {
        name: classes
        for name in sorted(solved)
        if name in METHODS and (classes := tested[id(solved[name].fitted.head)].decided) is not None
    }
    records = []
    for first, second in itertools.combinations(decided, 2):
        alike = decided[first] == decided[second]
        if alike.size:
            share = float(alike.mean())
            records.append(one(first, "agreement", "fraction", share, alike.size, second))
    return records


def metric_of(pool: Pool) -> str:
    """What is recorded by group: risk of a numeric target, else accuracy."""
    return ACCURACY if pool.target is None else RISK


def _quality(
    pool: Pool, rows: NDArray[np.int64], predicted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(G,) accuracy or risk, and n by group. predicted: as heads answer, on rows (n,)."""
    if pool.target is None:
        return _accuracy(pool, rows, choose(predicted))
    errors = predicted[:, 0] - pool.target.values[rows]
    return risk_by_group(errors, pool.codes[rows], pool.groups.n_groups, pool.target.variance)


def _accuracy(
    pool: Pool, rows: NDArray[np.int64], predicted: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(G,) accuracy and n by group, of predictions (n,) on rows (n,) of the pool."""
    return accuracy_by_group(predicted, pool.y[rows], pool.codes[rows], pool.groups.n_groups)


def _counts(pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(G,) rows of each group."""
    return np.bincount(pool.codes[rows], minlength=pool.groups.n_groups)
