"""What a solver refuses, in one sentence, before it starts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.heads.problem import GCE, Confidence, Problem, Squared, linear, n_logits


def check(problem: Problem, shape: tuple[int, int]) -> None:
    """Raise InputError unless `problem` can be fitted on a feature matrix of `shape` (N, d)."""
    _check_rows(problem, shape[0])
    _check_targets(problem)
    _check_loss(problem)
    _check_weights(problem)


def _check_rows(problem: Problem, n_rows: int) -> None:
    rows = problem.rows
    if rows.ndim != 1 or rows.size == 0:
        raise InputError("rows is empty: a head needs at least one sample; draw a larger set")
    if rows.min() < 0 or rows.max() >= n_rows:
        raise InputError(
            f"rows reach from {rows.min()} to {rows.max()}: must lie in 0..{n_rows - 1}, "
            f"the rows of the {problem.side} features"
        )


def _check_targets(problem: Problem) -> None:
    rows, targets = problem.rows, problem.targets
    numeric = isinstance(problem.loss, Squared) and targets.ndim == 2 and targets.shape[1] == 1
    if targets.ndim != 2 or targets.shape[0] != rows.size or (targets.shape[1] < 2 and not numeric):
        raise InputError(
            f"targets have shape {targets.shape}: must be (n, C) = ({rows.size}, C) with C >= 2, "
            "or one column of numbers under the squared loss"
        )
    if numeric:
        if not np.isfinite(targets).all():
            raise InputError("targets of the squared loss must be finite; drop the other rows")
        return
    to_one = bool(np.all(np.abs(targets.sum(axis=1) - 1) <= 1e-6))
    if isinstance(problem.loss, Squared):
        if not (np.isfinite(targets).all() and to_one):
            raise InputError("targets of the squared loss must be finite, every row summing to 1")
    elif not (np.all(targets >= 0) and to_one):
        raise InputError("targets must be probabilities: nonnegative, every row summing to 1")


def _check_loss(problem: Problem) -> None:
    loss = problem.loss
    if isinstance(loss, Squared) and not all(0 < value < math.inf for value in loss.l2_path):
        raise InputError(
            f"l2_path={list(loss.l2_path)} must hold positive finite weights; drop the others"
        )
    if not 0 < problem.l2 < math.inf:
        raise InputError(
            f"l2={problem.l2} must be positive and finite: without it separable data have no "
            "finite solution; use a small value such as 1e-6"
        )
    if isinstance(loss, GCE) and not 0 < loss.q <= 1:
        raise InputError(f"q={loss.q} must lie in (0, 1]; use CrossEntropy for the limit q = 0")
    if isinstance(loss, Confidence) and not 0 <= loss.alpha < 1:
        raise InputError(f"alpha={loss.alpha} must lie in [0, 1)")


def _check_weights(problem: Problem) -> None:
    weights = problem.weights
    if weights is None:
        return
    if weights.shape != problem.rows.shape:
        raise InputError(
            f"weights have shape {weights.shape}: must be ({problem.rows.size},), as rows"
        )
    if not (np.all(weights >= 0) and 0 < weights.sum() < math.inf):
        raise InputError("weights must be nonnegative and finite with a positive sum")


def check_init(problem: Problem, n_features: int) -> None:
    """Raise InputError unless `init` and `centre` are linear heads of the solution's shape."""
    want = (n_features, n_logits(problem.targets.shape[1]))
    for what, given in (("init", problem.init), ("centre", problem.centre)):
        head = linear(given, what)
        if head is not None and (head.coef.shape != want or head.intercept.shape != want[1:]):
            raise InputError(
                f"{what} has coef of shape {head.coef.shape}: must be {want}, as the solution"
            )


def check_features(side: str, X: NDArray[np.floating]) -> None:
    """Raise InputError unless X is a finite (N, d) matrix."""
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] == 0:
        raise InputError(f"{side} features have shape {X.shape}: must be (N, d), neither of them 0")
    finite = np.isfinite(X).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{side} features hold nan or inf in row {int(np.argmin(finite))}: every value must be "
            "finite; extract them again or drop the row"
        )
