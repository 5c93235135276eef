"""Problems that break careless solvers, and how far two heads' objectives may lie apart."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import Head, Loss, Problem, one_hot, units

CASES = {
    "seed": st.integers(0, 10_000),
    "n": st.integers(1, 30),
    "n_classes": st.integers(2, 4),
    "scales": st.lists(st.sampled_from([1e-8, 1.0, 1e8]), min_size=4, max_size=4),
    "weighted": st.booleans(),
}


def awkward(
    loss: Loss, seed: int, n: int, n_classes: int, scales: list[float], weighted: bool
) -> tuple[np.ndarray, list[Problem]]:
    """Repeated rows, one-class sets, n = 1, constant and collinear features, wild scales."""
    rng = stream(seed, "test/awkward")
    X = rng.normal(size=(20, 4)) * scales
    X = np.column_stack([X, X[:, 0], X[:, 1] - X[:, 2], np.full(20, 3.0)])
    y = rng.integers(0, n_classes, size=n)
    problems = []
    for labels in (y, np.zeros(n, dtype=np.int64)):
        rows = rng.integers(0, 20, size=n)
        weights = rng.random(n) + 0.01 if weighted else None
        targets = one_hot(labels, n_classes)
        problems.append(Problem("teacher", rows, targets, loss, 1e-2, weights))
    return X, problems


def objective_room(X: np.ndarray, problem: Problem, one: Head, two: Head, tol: float) -> float:
    """Largest difference of a convex objective between heads whose gradients are below tol.

    f(a) − f(b) <= ⟨∇f(a), a − b⟩ <= tol ‖a − b‖₁ in the units of the gradient.
    """
    mean, unit = units(X, problem.l2)
    step = one.coef - two.coef
    shift = one.intercept - two.intercept + mean @ step
    length = np.abs(step * unit[:, None]).sum() + np.abs(shift).sum()
    return float(1.01 * tol * length + 1e-14)
