"""Heads by blocks of rows: those that the solver in memory gives, whatever the blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_groups.core import mapped
from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.core.seeds import stream
from w2s_groups.heads import row_blocks, streamed, streamed_logistic, streamed_ridge
from w2s_groups.heads.blocking import tasks_of
from w2s_groups.heads.problem import (
    GCE,
    CrossEntropy,
    Head,
    Loss,
    Problem,
    Squared,
    n_logits,
    one_hot,
)
from w2s_groups.heads.solve import solve

N, D, DRAWN = 1500, 12, 701
SMALL = 60_000  # bytes: samples of less than all rows, and classes that share a Hessian
RNG = stream(0, "test/streamed")
X = (
    RNG.standard_normal((N, D)) * np.linspace(0.1, 2, D) + RNG.standard_normal(D)
).astype(np.float32)  # fmt: skip
SCORE = X[:, 3] + X[:, 11] + RNG.standard_normal(N)


def problems(loss: Loss, C: int, l2: float) -> list[Problem]:
    """Hard and soft targets, each with and without weights, with rows that come twice, a centre."""
    rows = RNG.choice(N, DRAWN, replace=False)
    rows[-40:] = rows[:40]
    hard = one_hot(np.digitize(SCORE, np.linspace(-0.5, 0.5, C - 1))[rows], C)
    soft = RNG.dirichlet(np.ones(C), DRAWN)
    made = [Problem("s", rows, targets, loss, l2) for targets in (hard, soft)]
    weights = RNG.exponential(size=DRAWN) ** 2
    weights[5:9] = 0
    made += [replace(problem, weights=weights) for problem in made]
    if isinstance(loss, CrossEntropy):
        K = n_logits(C)
        centre = Head(RNG.standard_normal((D, K)), np.zeros(K))
        made.append(replace(made[0], centre=centre))
    return made


def apart(found: Sequence[Head], expected: Sequence[Head]) -> float:
    """Largest difference of a logit on all rows."""
    rows = np.arange(N)
    return max(
        float(np.abs(one.logits(X, rows) - other.logits(X, rows)).max())
        for one, other in zip(found, expected, strict=True)
    )


def by_passes(asked: Sequence[Problem], matrix: NDArray[np.float32], limit: int) -> list[Head]:
    """Heads by passes, though their rows would fit."""
    tasks = tasks_of(asked)
    heads: dict[int, Head] = {}
    for task in tasks:
        alike = [own for own in tasks if np.array_equal(own.rows, task.rows)]
        ridge = isinstance(task.problem.loss, Squared)
        solver = streamed_ridge if ridge else streamed_logistic
        if task.positions[0] not in heads:
            for own, head in zip(alike, solver.solve(matrix, alike, 1e-6, limit), strict=True):
                heads.update(dict.fromkeys(own.positions, head))
    return [heads[k] for k in range(len(asked))]


@pytest.mark.parametrize("size", [1, 37, 8192])
def test_ridge_heads_are_those_in_memory(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "LEAST", size)
    monkeypatch.setattr(row_blocks, "MOST", size)
    for C, loss in ((2, Squared()), (4, Squared()), (2, Squared((1e-4, 1e-2, 1.0)))):
        asked = problems(loss, C, 1e-3)
        expected = solve({"s": X}, asked)
        found = by_passes(asked, X, SMALL)
        assert apart(found, expected) < 1e-10
        assert [head.l2 for head in found] == [head.l2 for head in expected]


def test_ridge_of_numbers_far_from_zero() -> None:
    far = X + np.float32(1e3)
    rows = np.arange(0, N, 3)
    asked = [Problem("s", rows, SCORE[rows, None] * scale, Squared(), 1e-2) for scale in (1, -7)]
    found, expected = by_passes(asked, far, SMALL), solve({"s": far}, asked)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.logits(far, rows), other.logits(far, rows), atol=1e-8)


@pytest.mark.parametrize("size", [1, 37, 8192])
def test_logistic_heads_are_those_in_memory(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "LEAST", size)
    monkeypatch.setattr(row_blocks, "MOST", size)
    # Blocks of one row are slow: of these only the easiest problem.
    settings = [(2, 1e-2)] if size == 1 else [(2, 1e-3), (4, 1e-2), (2, 100.0)]
    for C, l2 in settings:
        asked = problems(CrossEntropy(), C, l2)
        asked = asked[:1] if size == 1 else asked
        expected = solve({"s": X}, asked)
        limits = [SMALL] if size < 8192 else [SMALL, 2**30]
        for limit in limits:
            assert apart(by_passes(asked, X, limit), expected) < 1e-8


def test_a_sample_that_misleads_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Almost separable, little l2: the sample's solution is far off, and its Hessian vanishes."""
    monkeypatch.setattr(streamed_logistic, "SAMPLE", 2)
    targets = one_hot((SCORE > 0).astype(int), 2)
    weights = RNG.exponential(size=N) ** 3
    asked = [Problem("s", np.arange(N), targets, CrossEntropy(), 1e-6, weights)]
    assert apart(by_passes(asked, X, SMALL), solve({"s": X}, asked)) < 1e-8


def test_a_class_of_one_row_and_an_absent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_logistic, "SAMPLE", 2)
    labels = (SCORE > 0).astype(int)
    labels[77] = 3
    asked = [Problem("s", np.arange(N), one_hot(labels, 5), CrossEntropy(), 1e-2)]
    found, expected = by_passes(asked, X, SMALL), solve({"s": X}, asked)
    assert apart(found, expected) < 1e-8
    np.testing.assert_array_equal(found[0].coef[:, [2, 4]], 0)


def test_more_features_than_rows() -> None:
    rows = np.arange(9)
    targets = one_hot((SCORE[rows] > 0).astype(int), 2)
    for loss in (Squared(), CrossEntropy()):
        asked = [Problem("s", rows, targets, loss, 1e-3)]
        assert apart(by_passes(asked, X, SMALL), solve({"s": X}, asked)) < 1e-8


def test_rows_of_a_file_in_another_order(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    file = np.load(tmp_path / "x.npy", mmap_mode="r")
    order = RNG.permutation(N)
    stored = mapped.Stored(file, np.argsort(order))  # row i of the file is row order[i]
    inside = X[np.argsort(order)]
    asked = problems(CrossEntropy(), 2, 1e-2) + problems(Squared(), 2, 1e-2)
    found = by_passes(asked, stored, SMALL)  # type: ignore[arg-type]
    assert apart(found, by_passes(asked, inside, SMALL)) < 1e-10
    np.testing.assert_array_equal(stored[:], inside)
    np.testing.assert_array_equal(stored[[5, 2, 5]], inside[[5, 2, 5]])
    np.testing.assert_array_equal(stored[7], inside[7])


def test_sets_that_fit_are_gathered_and_others_pass() -> None:
    few = Problem("s", np.arange(30), one_hot(np.arange(30) % 2, 2), GCE(0.7), 1e-2)
    many = [*problems(CrossEntropy(), 2, 1e-2), *problems(Squared(), 2, 1e-2)]
    one_class = replace(many[0], targets=one_hot(np.zeros(DRAWN, dtype=int), 2))
    asked, limit = [few, *many, one_class], 160_000
    division = streamed.divided({"s": X.shape}, asked, limit)
    assert [len(division.constant), len(division.gathered)] == [1, 1]
    assert sum(map(len, division.passes)) == len(many)
    done: list[int] = []
    found = streamed.solve(
        {"s": X}, asked, memory_limit=limit, progress=lambda k, _: done.append(k)
    )
    assert apart(found, solve({"s": X}, asked)) < 1e-8
    assert done[-1] == len(asked)


def test_refusals() -> None:
    [problem, *_] = problems(CrossEntropy(), 2, 1e-2)
    with pytest.raises(streamed.NoBlocksError, match="do not solve GCE"):
        streamed.divided({"s": X.shape}, [replace(problem, loss=GCE(0.7))], 60_000)
    with pytest.raises(MemoryLimitError, match="by blocks of rows, need"):
        streamed.divided({"s": X.shape}, [problem], 9_000)
    with pytest.raises(InputError, match="tol=1e-30 was not reached"):
        streamed_ridge.solve(X, tasks_of([replace(problem, loss=Squared())]), 1e-30, SMALL)
