from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from awkward import CASES, awkward, objective_room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_heads import fit, gradient_norm, objective_value, predict_proba
from sklearn.linear_model import Ridge, RidgeCV

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import Problem, Squared, one_hot
from w2s_groups.heads.ridge import Dual, Primal, RowSet, leave_one_out
from w2s_groups.heads.ridge import solve as solve_set
from w2s_groups.heads.ridge_moments import nearest_neighbours
from w2s_groups.heads.solve import plan, solve

TOL = 1e-10


def _nested(
    d: int, n: int, n_classes: int = 2, l2: float = 1e-2, loss: Squared | None = None
) -> tuple[np.ndarray, list[Problem]]:
    """Nested row sets of 300 correlated float32 features, three targets each."""
    rng = stream(0, f"test/ridge/{d}")
    X = rng.normal(size=(300, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + 1
    score = X @ rng.normal(size=(d, n_classes)) / np.sqrt(d)
    y = score.argmax(axis=1)
    order = rng.permutation(300)
    problems = []
    for start in (0, 30, 10, 20, 200):
        rows = order[start : start + n]
        real = rng.normal(size=(len(rows), n_classes)) + 0.1 * score[rows]
        real += (1 - real.sum(axis=1, keepdims=True)) / n_classes
        for targets in (one_hot(y[rows], n_classes), real):
            problems.append(Problem("student", rows, targets, loss or Squared(), l2))
    return X.astype(np.float32), problems


@pytest.mark.parametrize(("d", "n"), [(12, 90), (60, 40)], ids=["primal", "dual"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_equals_scikit_learn_and_the_reference(d: int, n: int, n_classes: int) -> None:
    X, problems = _nested(d, n, n_classes)
    for problem, head in zip(problems, solve({"student": X}, problems, tol=TOL), strict=True):
        assert gradient_norm(X, problem, head) <= 1.01 * TOL
        inside = X[problem.rows].astype(np.float64)
        ours = predict_proba(head, X)
        theirs = Ridge(alpha=len(inside) * problem.l2).fit(inside, problem.targets)
        np.testing.assert_allclose(ours, theirs.predict(X.astype(np.float64)), atol=1e-7)
        np.testing.assert_allclose(ours, predict_proba(fit(X, problem, 1e-9), X), atol=1e-5)
        np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize(("d", "n"), [(12, 90), (60, 40)], ids=["primal", "dual"])
def test_l2_is_the_one_of_least_leave_one_out_error(d: int, n: int) -> None:
    path = (1e-3, 1e-2, 1e-1, 1.0)
    X, problems = _nested(d, n, loss=Squared(path))
    chosen = set()
    for problem, head in zip(problems, solve({"student": X}, problems, tol=TOL), strict=True):
        rows, count = problem.rows, len(problem.rows)
        inside, t = X[rows].astype(np.float64), problem.targets[:, 1]
        other = RidgeCV(alphas=[count * l2 for l2 in path]).fit(inside, t)
        assert head.l2 == pytest.approx(other.alpha_ / count)
        fixed = solve({"student": X}, [replace(problem, loss=Squared(), l2=head.l2)], tol=TOL)[0]
        np.testing.assert_allclose(head.coef, fixed.coef, atol=1e-7)
        chosen.add(head.l2)
    assert len(chosen) > 1


def test_leave_one_out_errors_are_those_of_fits_without_the_row() -> None:
    rng = stream(0, "test/loo")
    n, l2 = 20, 0.1
    for d in (5, 30):
        X, Y = rng.normal(size=(n, d)), rng.normal(size=(n, 2))
        rows = RowSet.of(torch.from_numpy(X), torch.full((n,), 1 / n, dtype=torch.float64))
        D = torch.full((d,), l2, dtype=torch.float64)
        both = (
            Primal(rows, torch.from_numpy(X.T @ X / n), D),
            Dual(rows, torch.from_numpy(X @ X.T / l2), D),
        )
        expected = np.zeros(2)
        for i in range(n):
            rest = np.delete(np.arange(n), i)
            model = Ridge(alpha=n * l2).fit(X[rest], Y[rest])
            expected += (Y[i] - model.predict(X[i : i + 1])[0]) ** 2 / n
        for factor in both:
            theta, b, _ = solve_set(factor, rows, torch.from_numpy(Y), D, 1e-12)
            found = leave_one_out(factor, rows, torch.from_numpy(Y), theta, b)
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_one_factorisation_serves_any_number_of_targets_and_memory_changes_nothing() -> None:
    X, problems = _nested(12, 90)
    rng = stream(1, "test/ridge/many")
    rows = problems[0].rows
    first = rng.random((600, len(rows)))
    many = [replace(problems[0], targets=np.column_stack([1 - t, t])) for t in first]
    heads = solve({"student": X}, many, tol=TOL)  # more targets than one batch of columns
    for t, head in zip(first[::97], heads[::97], strict=True):
        other = Ridge(alpha=len(rows) * 1e-2).fit(X[rows].astype(np.float64), t)
        np.testing.assert_allclose(head.coef[:, 0], other.coef_, atol=1e-8)
    X, problems = _nested(60, 40)
    least = plan({"student": X}, problems, 10**9).bytes
    shared, cut = (
        solve({"student": X}, problems, tol=TOL, memory_limit=limit) for limit in (10**9, least)
    )
    for one, two in zip(shared, cut, strict=True):
        np.testing.assert_allclose(one.coef, two.coef, atol=1e-8)
    with pytest.raises(InputError, match="memory_limit=1000 bytes is too small: ridge heads"):
        solve({"student": X}, problems, memory_limit=1000)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from([(), (1e-4, 1e-2)]), **CASES)
def test_awkward_data_match_the_reference(path: tuple[float, ...], **case: Any) -> None:
    X, problems = awkward(Squared(path), **case)
    for problem, head in zip(problems, solve({"teacher": X}, problems, tol=1e-8), strict=True):
        assert head.l2 is not None
        plain = replace(problem, loss=Squared(), l2=head.l2)
        reference = fit(X, plain, 1e-8)
        ours, theirs = (objective_value(X, plain, h) for h in (head, reference))
        # Units grow with l2 and gradients shrink in them: those of the path's smallest bound all.
        assert abs(ours - theirs) <= objective_room(X, plain, head, reference, 1e-8)


def test_chain_visits_the_nearest_set_next() -> None:
    sets = [np.arange(k, k + 10) for k in (0, 8, 2, 4)]
    assert list(nearest_neighbours(sets, 30)) == [0, 2, 3, 1]


def test_bad_input() -> None:
    X, problems = _nested(12, 90)
    for change, match in (
        ({"targets": problems[0].targets * 2}, "summing to 1"),
        ({"loss": Squared((0.1, -1.0))}, "l2_path"),
    ):
        with pytest.raises(InputError, match=match):
            solve({"student": X}, [replace(problems[0], **change)])
