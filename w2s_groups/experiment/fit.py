"""Problems of a block's cells -> their heads: equal ones once, and what they answer on rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core import mapped
from w2s_groups.experiment.lockstep import Key, Solved
from w2s_groups.experiment.pool import Pool
from w2s_groups.heads.outputs import numbers, probabilities
from w2s_groups.heads.problem import CrossEntropy, Head, Predictor, Problem, Squared, identity
from w2s_groups.methods.base import Fitted

Solver = Callable[[Mapping[str, NDArray[np.float32]], Sequence[Problem]], Sequence[Predictor]]
Read = Callable[[Predictor, NDArray[np.float64]], NDArray[np.float64]]  # what logits stand for


class Fit:
    """Solves problems on a pool. rows: (m,) sorted, all that the cells have drawn."""

    def __init__(
        self, pool: Pool, solve: Solver, rows: NDArray[np.int64], ridge: Squared | None
    ) -> None:
        self.pool, self.solve, self.rows, self.ridge = pool, solve, rows, ridge
        self.seen = np.union1d(rows, pool.test)

    def __call__(self, asked: Sequence[Problem]) -> list[Solved]:
        """The problems as they were solved, with their heads."""
        asked = with_loss(asked, self.ridge)
        read = probabilities if self.pool.target is None else numbers
        heads = _solve_distinct(asked, self.pool.features, self.rows, self.solve, read)
        return [Solved(*own) for own in zip(asked, heads, strict=True)]

    def of_methods(
        self, asked: Mapping[Key, Sequence[Problem]], seeds: Sequence[int] | None
    ) -> dict[Key, list[Solved]]:
        """All of them at once. seeds: of each cell, for a solver that draws."""
        if seeds is not None:
            asked = {
                (i, name): [replace(p, seed=seeds[i], asked=self.seen) for p in problems]
                for (i, name), problems in asked.items()
            }
        solved = iter(self([problem for problems in asked.values() for problem in problems]))
        return {
            key: list(itertools.islice(solved, len(problems))) for key, problems in asked.items()
        }


def with_loss(problems: Sequence[Problem], ridge: Squared | None) -> Sequence[Problem]:
    """The problems with this loss in place of cross-entropy; as they are for None."""
    if ridge is None:
        return problems
    return [replace(p, loss=ridge) if isinstance(p.loss, CrossEntropy) else p for p in problems]


def _solve_distinct(
    asked: Sequence[Problem],
    features: Mapping[str, NDArray[np.float32]],
    drawn: NDArray[np.int64],
    solve: Solver,
    read: Read,
) -> list[Fitted]:
    """The fitted head of each problem; equal problems are solved once."""
    keys = [identity(problem) for problem in asked]
    unique = dict(zip(keys, asked, strict=True))
    heads = {key: own.given for key, own in unique.items() if own.given is not None}
    left = {key: own for key, own in unique.items() if own.given is None}
    if left:
        heads |= dict(zip(left, solve(features, list(left.values())), strict=True))
    fitted: dict[bytes, Fitted] = {}
    for side, matrix in features.items():
        of_side = {key: head for key, head in heads.items() if unique[key].side == side}
        fitted |= _fitted(of_side, matrix, drawn, read)
    return [fitted[key] for key in keys]


def _fitted(
    heads: Mapping[bytes, Predictor],
    features: NDArray[np.float32],
    rows: NDArray[np.int64],
    read: Read,
) -> dict[bytes, Fitted]:
    """Heads of one side; the first that is asked for probabilities has them computed for all.

    rows: (m,) sorted, all that may be asked about: every row that one of the cells has drawn.
    """
    logits: list[NDArray[np.float64]] = []

    def proba(position: int, head: Predictor, wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        if not logits:
            logits.extend(logits_of(list(heads.values()), features, rows))
        return read(head, logits[position][np.searchsorted(rows, wanted)])

    return {
        key: Fitted(head, partial(proba, position, head))
        for position, (key, head) in enumerate(heads.items())
    }


def logits_of(
    heads: Sequence[Predictor],
    X: Any,
    rows: NDArray[np.int64],
    chunk: int = 8192,
) -> list[NDArray[np.float64]]:
    """(n, K) logits of every head on rows (n,) of X (N, d).

    Those of all linear heads in one product a chunk of rows.
    """
    linear = [head for head in heads if isinstance(head, Head)]
    if not linear:
        return [head.logits(X, rows) for head in heads]
    coef = np.concatenate([head.coef for head in linear], axis=1)
    intercept = np.concatenate([head.intercept for head in linear])
    found = np.empty((len(rows), len(intercept)))
    if isinstance(X, mapped.Stored):
        for where, block in mapped.blocks(X, rows, mapped.rows_at_once(X.shape[1])):
            found[where] = block.astype(np.float64) @ coef + intercept
    else:
        for start in range(0, len(rows), chunk):
            part = slice(start, start + chunk)
            found[part] = X[rows[part]].astype(np.float64) @ coef + intercept
    ends = np.cumsum([head.intercept.size for head in linear])[:-1]
    products = iter(np.split(found, ends, axis=1))
    return [next(products) if isinstance(head, Head) else head.logits(X, rows) for head in heads]
