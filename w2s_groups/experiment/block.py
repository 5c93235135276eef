"""A block of cells -> their atoms: draws, heads solved level by level, accuracies by group."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream
from w2s_groups.design import sampling
from w2s_groups.experiment import labelled
from w2s_groups.experiment.pool import Pool
from w2s_groups.heads.outputs import decisions, probabilities
from w2s_groups.heads.problem import (
    CrossEntropy,
    Head,
    Predictor,
    Problem,
    Squared,
    choose,
    identity,
    one_hot,
)
from w2s_groups.methods.base import Draws, Fitted, Method
from w2s_groups.methods.variants import base_of
from w2s_groups.results.risks import accuracy_by_group
from w2s_groups.schema.config import Cell

Solver = Callable[[Mapping[str, NDArray[np.float32]], Sequence[Problem]], Sequence[Predictor]]


BuiltOn = Mapping[str, Mapping[str, str]]  # variant -> need of its method -> what stands for it


def levels(methods: Mapping[str, Method], built_on: BuiltOn | None = None) -> list[list[str]]:
    """Method names in rounds: each round needs only what earlier rounds solved.

    References that nothing builds on go beside the first students, on whose rows they are fitted:
    heads that share rows are cheapest together.
    """
    needs = {name: set(_needs(name, method, built_on).values()) for name, method in methods.items()}
    needed = set().union(*needs.values())
    rounds: list[list[str]] = []
    done: set[str] = set()
    while len(done) < len(methods):
        ready = [m for m in methods if m not in done and done.issuperset(needs[m])]
        if not rounds and needed:
            ready = [m for m in ready if m in needed]
        rounds.append(ready)
        done.update(ready)
    return rounds


def _needs(name: str, method: Method, built_on: BuiltOn | None) -> dict[str, str]:
    """What a method needs -> the name of what it is built on."""
    instead = (built_on or {}).get(name, {})
    return {need: instead.get(need, need) for need in method.needs}


def run_block(
    cells: Sequence[Cell],
    pool: Pool,
    methods: Mapping[str, Method],
    solve: Solver,
    ridge: Squared | None = None,
    permute_labels: bool = False,
    seeded: bool = False,
    variants: BuiltOn | None = None,
) -> list[list[dict[str, Any]]]:
    """Atoms of each cell. Cells that share a fit (a teacher, a ceiling) have it solved once.

    ridge: the loss that every cross-entropy head is fitted with in its place.
    permute_labels: methods are shown the labels of other images, drawn anew for each seed.
    seeded: the solver is one that draws, under the cell's seed, and that may have to be told
        beforehand which rows will be asked about; fits of two seeds are never one.
    variants: the methods that are variants, and what each builds on where that is not what its
        method needs. Their accuracy on the labelled images is an atom, for select=labelled.
    """
    draws = [_draws(cell, pool, permute_labels) for cell in cells]
    parts = [part for draw, d in draws for part in (d.labelled, d.unlabelled, draw.validation)]
    drawn = np.unique(np.concatenate(parts))
    seen = np.union1d(drawn, pool.test)
    solved: list[dict[str, Fitted]] = [{} for _ in cells]
    problems: list[dict[str, Problem]] = [{} for _ in cells]

    def fit(asked: Sequence[Problem]) -> list[tuple[Problem, Fitted]]:
        if ridge is not None:
            asked = [
                replace(p, loss=ridge) if isinstance(p.loss, CrossEntropy) else p for p in asked
            ]
        return list(zip(asked, _solve_distinct(asked, pool.features, drawn, solve), strict=True))

    for names in levels(methods, variants):
        running = {
            (i, name): methods[name].steps(
                d.for_method(methods[name]),
                {k: solved[i][v] for k, v in _needs(name, methods[name], variants).items()},
            )
            for i, (_, d) in enumerate(draws)
            for name in names
        }
        answers: dict[tuple[int, str], list[Fitted]] = {}
        while running:
            asked: dict[tuple[int, str], Sequence[Problem]] = {}
            last = set()
            for key, steps in running.items():
                try:
                    asked[key] = steps.send(answers[key]) if key in answers else next(steps)
                except StopIteration as stop:
                    asked[key] = [stop.value]
                    last.add(key)
            if seeded:
                asked = {
                    (i, name): [replace(p, seed=cells[i].seed, asked=seen) for p in wanted]
                    for (i, name), wanted in asked.items()
                }
            found = iter(fit([problem for wanted in asked.values() for problem in wanted]))
            for key, wanted in asked.items():
                pairs = list(itertools.islice(found, len(wanted)))
                if key in last:
                    i, name = key
                    problems[i][name], solved[i][name] = pairs[0]
                    del running[key]
                else:
                    answers[key] = [fitted for _, fitted in pairs]
    tested = _tested(pool, problems, solved)
    upweighting = {name for name, method in methods.items() if method.upweights}
    on_labelled = labelled.accuracy(
        [(d, cell.seed) for (_, d), cell in zip(draws, cells, strict=True)],
        [
            {name: (problems[i][name], solved[i][name]) for name in variants or ()}
            for i in range(len(cells))
        ],
        lambda asked: [fitted for _, fitted in fit(asked)],
    )
    return [
        [
            *_atoms(pool, draw, cell_draws, problems[i], solved[i], tested, upweighting),
            *labelled.atoms(on_labelled[i], len(cell_draws.labelled)),
        ]
        for i, (draw, cell_draws) in enumerate(draws)
    ]


def _draws(cell: Cell, pool: Pool, permute_labels: bool) -> tuple[sampling.Draw, Draws]:
    """The cell's rows of the pool, and what its methods may be shown of them."""
    found = sampling.draw(
        pool.groups, pool.codes[pool.drawable], pool.priors, cell.request, cell.seed
    )
    draw = replace(
        found,
        labelled=pool.drawable[found.labelled],
        unlabelled=pool.drawable[found.unlabelled],
        validation=pool.drawable[found.validation],
    )
    y, codes = pool.y, pool.codes
    if permute_labels:
        y = y.copy()
        y[pool.drawable] = stream(cell.seed, "labels/permuted").permutation(y[pool.drawable])
        codes = pool.groups.codes(y, codes % len(pool.groups.attribute_names))
    ranks = np.empty(len(y), dtype=np.int64)
    ranks[pool.drawable] = stream(cell.seed, "draw/shuffle").permutation(len(pool.drawable))
    return draw, Draws(
        draw.labelled,
        one_hot(y[draw.labelled], pool.n_classes),
        draw.unlabelled,
        ranks[draw.unlabelled],
        one_hot(y[draw.unlabelled], pool.n_classes),
        codes[draw.labelled],
        codes[draw.unlabelled],
    )


def _solve_distinct(
    asked: Sequence[Problem],
    features: Mapping[str, NDArray[np.float32]],
    drawn: NDArray[np.int64],
    solve: Solver,
) -> list[Fitted]:
    """The fitted head of each problem; equal problems are solved once."""
    keys = [identity(problem) for problem in asked]
    unique = dict(zip(keys, asked, strict=True))
    heads = dict(zip(unique, solve(features, list(unique.values())), strict=True))
    fitted: dict[bytes, Fitted] = {}
    for side, matrix in features.items():
        of_side = {key: head for key, head in heads.items() if unique[key].side == side}
        fitted |= _fitted(of_side, matrix, drawn)
    return [fitted[key] for key in keys]


def _fitted(
    heads: Mapping[bytes, Predictor], features: NDArray[np.float32], rows: NDArray[np.int64]
) -> dict[bytes, Fitted]:
    """Heads of one side; the first that is asked for probabilities has them computed for all.

    rows: (m,) sorted, all that may be asked about: every row that one of the cells has drawn.
    """
    logits: list[NDArray[np.float64]] = []

    def proba(position: int, head: Predictor, wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        if not logits:
            logits.extend(_logits(list(heads.values()), features, rows))
        return probabilities(head, logits[position][np.searchsorted(rows, wanted)])

    return {
        key: Fitted(head, partial(proba, position, head))
        for position, (key, head) in enumerate(heads.items())
    }


def _logits(
    heads: Sequence[Predictor],
    X: NDArray[np.floating],
    rows: NDArray[np.int64],
    chunk: int = 8192,
) -> list[NDArray[np.float64]]:
    """(n, K) logits of every head on rows (n,) of X (N, d): those of all linear heads in one
    product a chunk of rows."""
    linear = [head for head in heads if isinstance(head, Head)]
    if not linear:
        return [head.logits(X, rows) for head in heads]
    coef = np.concatenate([head.coef for head in linear], axis=1)
    intercept = np.concatenate([head.intercept for head in linear])
    parts = [
        X[rows[start : start + chunk]].astype(np.float64) @ coef + intercept
        for start in range(0, len(rows), chunk)
    ]
    ends = np.cumsum([head.intercept.size for head in linear])[:-1]
    products = iter(np.split(np.concatenate(parts), ends, axis=1))
    return [next(products) if isinstance(head, Head) else head.logits(X, rows) for head in heads]


class _Tested(NamedTuple):
    """A head on the test rows: its class for each of them, accuracy and n by group."""

    decided: NDArray[np.int16]
    accuracy: NDArray[np.float64]
    n: NDArray[np.int64]


def _tested(
    pool: Pool, problems: list[dict[str, Problem]], solved: list[dict[str, Fitted]]
) -> dict[int, _Tested]:
    """Every distinct head (by id) on the test rows, one product per side."""
    result = {}
    for side, features in pool.features.items():
        heads = {
            id(solved[i][name].head): solved[i][name].head
            for i in range(len(solved))
            for name, problem in problems[i].items()
            if problem.side == side
        }
        logits = _logits(list(heads.values()), features, pool.test)
        for (key, head), values in zip(heads.items(), logits, strict=True):
            predicted = decisions(head, values)
            right = accuracy_by_group(
                predicted, pool.y[pool.test], pool.codes[pool.test], pool.groups.n_groups
            )
            result[key] = _Tested(predicted.astype(np.int16), *right)
    return result


def _atoms(
    pool: Pool,
    draw: sampling.Draw,
    draws: Draws,
    problems: Mapping[str, Problem],
    solved: Mapping[str, Fitted],
    tested: Mapping[int, _Tested],
    upweighting: Container[str],
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

    def add_one(
        method: str, split: str, metric: str, value: float | None, n: int, group: str = "all"
    ) -> None:
        """One row, of no group."""
        of_none = {"group": group, "y": -1, "a": -1, "minority": False}
        rows.append(
            {"method": method, "split": split, "metric": metric, "value": value, "n": n, **of_none}
        )

    add("teacher", "labelled", "count", draw.counts_l, draw.counts_l)
    add("teacher", "unlabelled", "count", draw.counts_u, draw.counts_u)
    pseudo = choose(solved["teacher"].proba(draws.unlabelled))
    unlabelled_codes = pool.codes[draws.unlabelled]
    add(
        "teacher", "unlabelled", "accuracy",
        *accuracy_by_group(pseudo, pool.y[draws.unlabelled], unlabelled_codes, groups.n_groups),
    )  # fmt: skip
    validation_codes = pool.codes[draw.validation]
    for name, problem in problems.items():
        of_test = tested[id(solved[name].head)]
        add(name, "test", "accuracy", of_test.accuracy, of_test.n)
        if len(draw.validation):
            predicted = choose(solved[name].proba(draw.validation))
            add(
                name, "validation", "accuracy",
                *accuracy_by_group(
                    predicted, pool.y[draw.validation], validation_codes, groups.n_groups
                ),
            )  # fmt: skip
        if isinstance(problem.loss, Squared) and problem.loss.l2_path:
            head = solved[name].head
            assert isinstance(head, Head)
            add_one(name, "fit", "l2", head.l2, len(problem.rows))  # as leave-one-out chose it
        if name in upweighting and problem.weights is not None:
            heavy = problem.rows[problem.weights > problem.weights.min()]
            heavy_counts = np.bincount(pool.codes[heavy], minlength=groups.n_groups)
            of = np.bincount(pool.codes[problem.rows], minlength=groups.n_groups)
            add(name, "upweighted", "count", heavy_counts, of)
        if (
            problem.weights is None  # a head on weighted rows of a held-out part selects nothing
            and len(problem.rows) < len(draws.unlabelled)
            and np.isin(problem.rows, draws.unlabelled).all()
        ):
            kept = np.bincount(pool.codes[problem.rows], minlength=groups.n_groups)
            add(name, "kept", "fraction", kept / kept.sum(), kept)
            labels = problem.targets.argmax(axis=1)
            codes = pool.codes[problem.rows]
            right = accuracy_by_group(labels, pool.y[problem.rows], codes, groups.n_groups)
            add(name, "kept", "accuracy", *right)
    # Of methods, not of their variants: pairs of those would outgrow all else.
    for one, two in itertools.combinations(sorted(m for m in problems if base_of(m) == m), 2):
        alike = tested[id(solved[one].head)].decided == tested[id(solved[two].head)].decided
        if alike.size:
            add_one(one, "agreement", "fraction", float(alike.mean()), alike.size, two)
    return rows
