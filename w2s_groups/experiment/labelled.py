"""What select=labelled reads: accuracy on labelled images that a head was not fitted on.

A student learns from pseudolabels, so the labelled images are new to it; the teacher, whose labels
it learnt, was fitted on them, which biases that accuracy a little. A head that was fitted on
labelled images itself (baseline, combined) is judged by cross-validation: the same fit again
without one half of them, asked about that half, and the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import Problem, choose
from w2s_groups.methods.base import Draws, Fitted

FOLDS = 2


def accuracy(
    drawn: Sequence[tuple[Draws, int]],
    heads: Sequence[Mapping[str, tuple[Problem, Fitted]]],
    fit: Callable[[Sequence[Problem]], Sequence[Fitted]],
) -> list[dict[str, float]]:
    """Method -> share of the labelled images that its head gets right, a mapping for each cell.

    drawn: the draws of each cell and its seed. heads: method -> its own problem and that head.
    """
    shares: list[dict[str, float]] = [{} for _ in drawn]
    left: list[tuple[int, str, list[NDArray[np.bool_]]]] = []
    asked: list[Problem] = []
    for i, (draws, seed) in enumerate(drawn):
        fold: NDArray[np.int64] | None = None
        for name, (problem, head) in heads[i].items():
            if not np.isin(draws.labelled, problem.rows).any():
                shares[i][name] = float(_right(head, draws, np.ones(len(draws.labelled), bool)))
                continue
            fold = folds(draws, seed) if fold is None else fold
            parts = [fold == k for k in range(int(fold.max()) + 1)]
            asked += [without(problem, draws.labelled[part]) for part in parts]
            left.append((i, name, parts))
    answers = iter(fit(asked) if asked else [])
    for i, name, parts in left:
        draws = drawn[i][0]
        right = [_right(next(answers), draws, part) * part.sum() for part in parts]
        shares[i][name] = float(sum(right) / len(draws.labelled))
    return shares


def _right(head: Fitted, draws: Draws, part: NDArray[np.bool_]) -> float:
    predicted = choose(head.proba(draws.labelled[part]))
    return float(np.mean(predicted == draws.y_labelled[part].argmax(axis=1)))


def folds(draws: Draws, seed: int) -> NDArray[np.int64]:
    """(n_l,) fold of each labelled image: every class is dealt out evenly, in a drawn order."""
    rng = stream(seed, "labelled/folds")
    labels = draws.y_labelled.argmax(axis=1)
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[by_class] = np.arange(len(labels)) % min(FOLDS, len(labels))
    return fold


def without(problem: Problem, rows: NDArray[np.int64]) -> Problem:
    """The same problem without some rows."""
    stays = ~np.isin(problem.rows, rows)
    weights = None if problem.weights is None else problem.weights[stays]
    return replace(
        problem, rows=problem.rows[stays], targets=problem.targets[stays], weights=weights
    )
