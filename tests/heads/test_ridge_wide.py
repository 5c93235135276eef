from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from reference_heads import gradient_norm

from w2s_groups.core.seeds import stream
from w2s_groups.heads import ridge_batch, ridge_groups
from w2s_groups.heads.blocking import tasks_of
from w2s_groups.heads.problem import Problem, Squared
from w2s_groups.heads.products import PANEL, add_lower
from w2s_groups.heads.ridge_groups import groups_of, waves
from w2s_groups.heads.ridge_wide import Wide, row_sets
from w2s_groups.heads.solve import solve


def test_sets_side_by_side_have_the_products_and_gradients_of_each_alone() -> None:
    rng = stream(0, "test/ridge_wide")
    X = torch.from_numpy(rng.normal(size=(20, 4)))
    D = torch.from_numpy(rng.random(4))
    where = [torch.from_numpy(rng.permutation(20)[:n]) for n in (7, 12)]
    weights = [torch.from_numpy(rng.dirichlet(np.ones(len(rows)))) for rows in where]
    sets = row_sets(X, where, weights)
    targets = [torch.from_numpy(rng.normal(size=(n, R))) for n, R in ((7, 1), (12, 3))]
    wide = Wide(X, sets, targets)
    thetas = [torch.from_numpy(rng.normal(size=(4, Y.shape[1]))) for Y in targets]
    levels = [torch.from_numpy(rng.normal(size=Y.shape[1])) for Y in targets]
    products = wide.products(targets)
    norms = wide.gradient_norms(thetas, levels, D)
    for i, (rows, w) in enumerate(zip(where, weights, strict=True)):
        inside, Y = X[rows].numpy(), targets[i].numpy()
        np.testing.assert_allclose(sets[i].mean, w.numpy() @ inside, atol=1e-14)
        np.testing.assert_allclose(products[i], inside.T @ Y, atol=1e-13)
        theta = thetas[i].numpy()
        residual = w.numpy()[:, None] * (inside @ theta + levels[i].numpy() - Y)
        slope = inside.T @ residual + D.numpy()[:, None] * theta
        expected = max(np.abs(slope).max(), np.abs(residual.sum(0)).max())
        assert norms[i] == pytest.approx(expected, rel=1e-12)


def test_lower_triangle_of_a_sum_of_products() -> None:
    rng = stream(0, "test/products")
    A = torch.from_numpy(rng.normal(size=(5, 2 * PANEL + 3)))
    w = torch.from_numpy(rng.random(5))[:, None]
    total = torch.eye(A.shape[1], dtype=A.dtype)
    add_lower(total, A, w * A, -2.0)
    expected = np.eye(len(total)) - 2 * (A.T @ (w * A)).numpy()
    np.testing.assert_allclose(total.tril(), np.tril(expected), atol=1e-13)


def _problems(sizes: list[tuple[int, int]]) -> tuple[np.ndarray, list[Problem]]:
    """Sets (start, n) of consecutive rows, two targets each."""
    rng = stream(0, "test/waves")
    X, problems = rng.normal(size=(400, 8)), []
    for start, n in sizes:
        rows = np.arange(start, start + n)
        for t in rng.random((2, n)):
            targets = np.column_stack([1 - t, t])
            problems.append(Problem("student", rows, targets, Squared(), 1e-2))
    return X, problems


def test_sets_go_together_while_their_union_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    _, problems = _problems([(0, 60), (20, 60), (60, 60), (80, 60), (200, 40)])
    groups = groups_of(tasks_of(problems))
    # Rows 0-119 are twice 60; 80-139 start a second wave, and 200-239 do not overlap it.
    assert [len(wave) for wave in waves(groups)] == [3, 1, 1]
    monkeypatch.setattr(ridge_groups, "COLUMNS", 4)
    assert [len(wave) for wave in waves(groups)] == [2, 2, 1]


def test_a_set_beside_others_is_solved_as_it_is_alone() -> None:
    X, problems = _problems([(0, 60), (20, 60), (60, 60), (0, 6), (2, 6)])
    problems.append(replace(problems[0], loss=Squared((1e-2, 1e-1))))
    heads = solve({"student": X}, problems, tol=1e-11)
    for problem, head in zip(problems, heads, strict=True):
        (alone,) = solve({"student": X}, [problem], tol=1e-11)
        assert gradient_norm(X, replace(problem, l2=head.l2), head) <= 1.01e-11
        np.testing.assert_allclose(head.coef, alone.coef, atol=1e-8)


def test_what_rounding_left_is_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    # A tolerance that one solution from float64 kernels misses, as l2 is small and features wild.
    rng = stream(0, "test/refined")
    X = rng.normal(size=(60, 40)) * np.logspace(-3, 3, 40)
    problems = []
    for start in (0, 5, 10):
        t = rng.random(30)
        rows, targets = np.arange(start, start + 30), np.column_stack([1 - t, t])
        problems.append(Problem("student", rows, targets, Squared(), 1e-6))
    tol = 1e-10
    refined = []

    def counted(*args: Any) -> Any:
        refined.append(args)
        return alone(*args)

    alone = ridge_batch._heads
    monkeypatch.setattr(ridge_batch, "_heads", counted)
    for problem, head in zip(problems, solve({"student": X}, problems, tol=tol), strict=True):
        assert gradient_norm(X, replace(problem, l2=head.l2), head) <= 1.01 * tol
    assert refined
