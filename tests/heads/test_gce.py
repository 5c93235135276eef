"""Where GCE ends: as low as the best of many random starts, and the same in any company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reference_heads import objective_value

from w2s_groups.core.seeds import stream
from w2s_groups.heads.newton import Q_STEPS, newton
from w2s_groups.heads.newton_step import Heads, Rows, Theta
from w2s_groups.heads.problem import GCE, CrossEntropy, Head, Problem, one_hot, units
from w2s_groups.heads.scratch import Scratch
from w2s_groups.heads.solve import solve

import torch  # isort: skip

STARTS = 20
ROOM = 1e-6  # of objectives that count as equal
# A random start ends lower in 12 % of 200 problems. In nine of ten samples of problems it would be
# at most these shares: the 90 % quantiles of Binomial(n, 0.12) / n, rounded up.
OF_54, OF_200 = 0.2, 0.15


def problems(count: int) -> tuple[np.ndarray, list[Problem]]:
    """GCE on a teacher's decisions, as selective retraining poses it: fewer to more features than
    rows, errors of the teacher where its attribute misleads it."""
    rng = stream(0, "test/gce")
    y, a = rng.integers(0, 2, (2, 600))
    X = rng.normal(size=(600, 120))
    X[:, 0] += 2 * y - 1
    X[:, 1] += 2 * a - 1
    weak = rng.normal(size=(600, 20)) + np.pad(
        np.stack([y - 0.5, 2 * a - 1.0], axis=1), ((0, 0), (0, 18))
    )
    found = []
    for k in range(count):
        labelled = rng.choice(600, 40, replace=False)
        labelled = labelled[(y == a)[labelled] | (rng.random(40) < 0.2)]
        (teacher,) = solve(
            {"weak": weak},
            [Problem("weak", labelled, one_hot(y[labelled], 2), CrossEntropy(), 1e-2)],
        )
        rows = rng.choice(600, (60, 100)[k % 2], replace=False)
        pseudo = (weak[rows] @ teacher.coef + teacher.intercept)[:, 0] > 0
        d, q = ("5", "20", "120")[k // 2 % 3], (0.3, 0.7, 1.0)[k // 6 % 3]
        l2 = (1e-3, 1e-2, 1e-1)[k // 18 % 3]
        found.append(Problem(d, rows, one_hot(pseudo.astype(np.int64), 2), GCE(q), l2))
    return X, found


def from_random_starts(X: np.ndarray, problem: Problem) -> float:
    """The lowest objective at which descents from random heads end."""
    d = X.shape[1]
    rng = stream(1, f"test/gce/{problem.rows[0]}")
    mean, unit = units(X, problem.l2)
    own = torch.as_tensor((X[problem.rows] - mean) / unit)
    rows = Rows(own, problem.l2, torch.as_tensor(unit), Scratch())
    targets = torch.as_tensor(problem.targets[:, 1].copy()).expand(STARTS, 1, -1)
    n = len(problem.rows)
    heads = Heads(targets, torch.full((STARTS, 1, n), 1 / n, dtype=torch.float64))
    start = Theta(
        torch.as_tensor(rng.normal(size=(STARTS, 1, d)) * 2 / np.sqrt(d)),
        torch.as_tensor(rng.normal(size=(STARTS, 1))),
    )
    at, _, _ = newton(rows, problem.loss, heads, start, 1e-6)
    values = []
    for v, b in zip(at.v.numpy(), at.b.numpy(), strict=True):
        coef = v.T / unit[:, None]
        values.append(objective_value(X, problem, Head(coef, b - mean @ coef)))
    return min(values)


def leads(count: int) -> tuple[np.ndarray, np.ndarray]:
    """By how much the best random start ends below each answer, and the features of each."""
    X, found = problems(count)
    features = {side: X[:, : int(side)] for side in ("5", "20", "120")}
    ours = [
        objective_value(features[problem.side], problem, head)
        for problem, head in zip(found, solve(features, found), strict=True)
    ]
    best = [from_random_starts(features[problem.side], problem) for problem in found]
    return np.array(ours) - np.array(best), np.array([int(problem.side) for problem in found])


def test_the_path_in_q_ends_as_low_as_random_starts() -> None:
    lead, d = leads(54)
    assert (lead[d == 120] > ROOM).sum() == 0
    assert (lead > ROOM).mean() <= OF_54


@pytest.mark.slow
def test_two_hundred_problems_end_as_low_as_random_starts() -> None:
    """Nearly all where the features outnumber the rows, as in this suite's runs; 88 % of all."""
    lead, d = leads(200)
    lower = lead > ROOM
    print(f"random starts end lower in {lower.sum()} of 200, by at most {lead.max():.1e}")
    assert lower[d == 120].mean() <= 0.05
    assert lower.mean() <= OF_200


def test_the_path_is_that_of_the_problem_by_itself() -> None:
    X, found = problems(6)
    features = {side: X[:, : int(side)] for side in ("5", "20", "120")}
    flipped = [replace(p, targets=p.targets[:, ::-1].copy()) for p in found]
    together = solve(features, [*found, *flipped])
    for problem, head in zip(found, together, strict=False):
        (alone,) = solve(features, [problem])
        np.testing.assert_allclose(alone.coef, head.coef, atol=1e-9)
    assert Q_STEPS > 1


def test_a_small_q_is_cross_entropy() -> None:
    X, found = problems(3)
    features = {side: X[:, : int(side)] for side in ("5", "20", "120")}
    near = solve(features, [replace(p, loss=GCE(1e-9)) for p in found])
    limit = solve(features, [replace(p, loss=CrossEntropy()) for p in found])
    for one, other in zip(near, limit, strict=True):
        np.testing.assert_allclose(one.coef, other.coef, atol=1e-6)
