"""A block of cells -> their atoms: draws, heads solved level by level, accuracies by group."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups import sampling
from w2s_groups.config import Cell
from w2s_groups.heads.logistic import probabilities
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, Squared
from w2s_groups.methods.base import Draws, Fitted, Method, one_hot
from w2s_groups.pool import Pool
from w2s_groups.risks import accuracy_by_group

Solver = Callable[[Mapping[str, NDArray[np.float32]], Sequence[Problem]], Sequence[Head]]


def levels(methods: Mapping[str, Method]) -> list[list[str]]:
    """Method names in rounds: each round needs only what earlier rounds solved.

    References that nothing builds on go beside the first students, on whose rows they are fitted:
    heads that share rows are cheapest together.
    """
    needed = {need for method in methods.values() for need in method.needs}
    rounds: list[list[str]] = []
    done: set[str] = set()
    while len(done) < len(methods):
        ready = [m for m in methods if m not in done and done.issuperset(methods[m].needs)]
        if not rounds and needed:
            ready = [m for m in ready if m in needed]
        rounds.append(ready)
        done.update(ready)
    return rounds


def run_block(
    cells: Sequence[Cell],
    pool: Pool,
    methods: Mapping[str, Method],
    solve: Solver,
    ridge: Squared | None = None,
) -> list[list[dict[str, Any]]]:
    """Atoms of each cell. Cells that share a fit (a teacher, a ceiling) have it solved once.

    ridge: the loss that every cross-entropy head is fitted with in its place.
    """
    draws = [_draws(cell, pool) for cell in cells]
    drawn = np.unique(
        np.concatenate([draw for _, d in draws for draw in (d.labelled, d.unlabelled)])
    )
    solved: list[dict[str, Fitted]] = [{} for _ in cells]
    problems: list[dict[str, Problem]] = [{} for _ in cells]
    for names in levels(methods):
        unique: dict[bytes, Problem] = {}
        owners: list[tuple[int, str, bytes]] = []
        for i, (_, cell_draws) in enumerate(draws):
            for name in names:
                problem = methods[name].problem(cell_draws, solved[i])
                if ridge is not None and isinstance(problem.loss, CrossEntropy):
                    problem = replace(problem, loss=ridge)
                problems[i][name] = problem
                key = _identity(problem)
                unique.setdefault(key, problem)
                owners.append((i, name, key))
        heads = dict(zip(unique, solve(pool.features, list(unique.values())), strict=True))
        fitted = {
            key: fit
            for side, features in pool.features.items()
            for key, fit in _fitted(
                {key: head for key, head in heads.items() if unique[key].side == side},
                features,
                drawn,
            ).items()
        }
        for i, name, key in owners:
            solved[i][name] = fitted[key]
    accuracy = _test_accuracy(pool, problems, solved)
    return [
        _atoms(pool, draw, cell_draws, problems[i], solved[i], accuracy)
        for i, (draw, cell_draws) in enumerate(draws)
    ]


def _draws(cell: Cell, pool: Pool) -> tuple[sampling.Draw, Draws]:
    draw = sampling.draw(
        pool.groups, pool.codes[pool.drawable], pool.priors, cell.request, cell.seed
    )
    labelled, unlabelled = pool.drawable[draw.labelled], pool.drawable[draw.unlabelled]
    return draw, Draws(
        labelled,
        one_hot(pool.y[labelled], pool.n_classes),
        unlabelled,
        one_hot(pool.y[unlabelled], pool.n_classes),
    )


def _identity(problem: Problem) -> bytes:
    """Digest of everything that a fit depends on."""
    digest = hashlib.sha256(repr((problem.side, problem.loss, problem.l2)).encode())
    parts = [problem.rows, problem.targets, problem.weights]
    if problem.init is not None:
        parts += [problem.init.coef, problem.init.intercept]
    for part in parts:
        digest.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.digest()


def _fitted(
    heads: Mapping[bytes, Head], features: NDArray[np.float32], rows: NDArray[np.int64]
) -> dict[bytes, Fitted]:
    """Heads of one side; the first that is asked for probabilities has them computed for all.

    rows: (m,) sorted, all that a method may ask about: the cells' labelled and unlabelled rows.
    """
    logits: list[NDArray[np.float64]] = []

    def proba(position: int, head: Head, wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        if not logits:
            logits.extend(_logits(list(heads.values()), features[rows]))
        return probabilities(head, logits[position][np.searchsorted(rows, wanted)])

    return {
        key: Fitted(head, partial(proba, position, head))
        for position, (key, head) in enumerate(heads.items())
    }


def _logits(
    heads: Sequence[Head], X: NDArray[np.floating], chunk: int = 8192
) -> list[NDArray[np.float64]]:
    """(n, K) logits of every head on X (n, d), in one product a chunk of rows."""
    if not heads:
        return []
    coef = np.concatenate([head.coef for head in heads], axis=1)
    intercept = np.concatenate([head.intercept for head in heads])
    parts = [
        X[start : start + chunk].astype(np.float64) @ coef + intercept
        for start in range(0, len(X), chunk)
    ]
    ends = np.cumsum([head.intercept.size for head in heads])[:-1]
    return np.split(np.concatenate(parts), ends, axis=1)


def _test_accuracy(
    pool: Pool, problems: list[dict[str, Problem]], solved: list[dict[str, Fitted]]
) -> dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Accuracy by group of every distinct head (by id) on the test rows, one product per side."""
    result = {}
    for side, features in pool.features.items():
        heads = {
            id(solved[i][name].head): solved[i][name].head
            for i in range(len(solved))
            for name, problem in problems[i].items()
            if problem.side == side
        }
        logits = _logits(list(heads.values()), features[pool.test])
        for (key, head), values in zip(heads.items(), logits, strict=True):
            predicted = probabilities(head, values).argmax(axis=1)
            result[key] = accuracy_by_group(
                predicted, pool.y[pool.test], pool.codes[pool.test], pool.groups.n_groups
            )
    return result


def _atoms(
    pool: Pool,
    draw: sampling.Draw,
    draws: Draws,
    problems: Mapping[str, Problem],
    solved: Mapping[str, Fitted],
    accuracy: Mapping[int, tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> list[dict[str, Any]]:
    """Rows of the long table for one cell, without the cell's own columns."""
    groups, rows = pool.groups, []

    def add(
        method: str, split: str, metric: str, values: NDArray[Any], n: NDArray[np.int64]
    ) -> None:
        for g, name in enumerate(groups.names):
            y, a = divmod(g, len(groups.attribute_names))
            value = float(values[g])
            rows.append(
                {
                    "method": method, "split": split, "metric": metric,
                    "group": name, "y": y, "a": a, "minority": bool(groups.is_minority[g]),
                    "value": None if np.isnan(value) else value, "n": int(n[g]),
                }
            )  # fmt: skip

    def add_l2(method: str, head: Head, n: int) -> None:
        """Which l2 leave-one-out chose: one row, of no group."""
        of_none = {"group": "all", "y": -1, "a": -1, "minority": False}
        rows.append(
            {"method": method, "split": "fit", "metric": "l2", "value": head.l2, "n": n, **of_none}
        )

    add("teacher", "labelled", "count", draw.counts_l, draw.counts_l)
    add("teacher", "unlabelled", "count", draw.counts_u, draw.counts_u)
    pseudo = solved["teacher"].proba(draws.unlabelled).argmax(axis=1)
    unlabelled_codes = pool.codes[draws.unlabelled]
    add(
        "teacher", "unlabelled", "accuracy",
        *accuracy_by_group(pseudo, pool.y[draws.unlabelled], unlabelled_codes, groups.n_groups),
    )  # fmt: skip
    for name, problem in problems.items():
        add(name, "test", "accuracy", *accuracy[id(solved[name].head)])
        if isinstance(problem.loss, Squared) and problem.loss.l2_path:
            add_l2(name, solved[name].head, len(problem.rows))
        if (
            len(problem.rows) < len(draws.unlabelled)
            and np.isin(problem.rows, draws.unlabelled).all()
        ):
            kept = np.bincount(pool.codes[problem.rows], minlength=groups.n_groups)
            add(name, "kept", "fraction", kept / kept.sum(), kept)
            labels = problem.targets.argmax(axis=1)
            codes = pool.codes[problem.rows]
            right = accuracy_by_group(labels, pool.y[problem.rows], codes, groups.n_groups)
            add(name, "kept", "accuracy", *right)
    return rows
