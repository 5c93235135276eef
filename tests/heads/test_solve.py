from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from awkward import CASES, awkward, objective_room
from hypothesis import HealthCheck, example, given, reject, settings
from reference_heads import fit, gradient_norm, objective_value, predict_proba
from sklearn.linear_model import LogisticRegression

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.heads import newton
from w2s_groups.heads.blocking import block_bytes
from w2s_groups.heads.problem import (
    GCE,
    Confidence,
    CrossEntropy,
    Head,
    Loss,
    Problem,
    Squared,
    one_hot,
)
from w2s_groups.heads.solve import iterate, plan, solve

TOL = 1e-8


def _grid(
    n_classes: int, loss: Loss, seed: int = 0, d: int = 12, warm: bool = False
) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """Hard and soft problems on overlapping row sets of 300 correlated features."""
    rng = stream(seed, f"test/grid/{n_classes}")
    X = rng.normal(size=(300, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + 1
    score = X @ rng.normal(size=(d, n_classes))
    y = (score + rng.gumbel(size=score.shape)).argmax(1)
    soft = rng.dirichlet(np.ones(n_classes), size=300)
    order = rng.permutation(300)
    K = 1 if n_classes == 2 else n_classes
    problems = []
    for start in range(0, 60, 10):
        rows = order[start : start + 100]
        init = Head(rng.normal(size=(d, K)) * 0.1, np.zeros(K)) if warm else None
        for targets in (one_hot(y, n_classes)[rows], soft[rows]):
            problems.append(Problem("student", rows, targets, loss, 1e-2, init=init))
    return {"student": X}, problems


def _same(X: np.ndarray, problem: Problem, one: Head, two: Head) -> None:
    # Both gradients are below TOL and the objective is l2-strongly convex in w.
    gap = 4 * TOL * np.sqrt(one.coef.size) / problem.l2
    np.testing.assert_allclose(predict_proba(one, X), predict_proba(two, X), atol=20 * gap)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", [CrossEntropy(), GCE(0.7), Confidence(0.2)], ids=repr)
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("d", [12, 150])
def test_equals_the_reference(n_classes: int, loss: Loss, warm: bool, d: int) -> None:
    features, problems = _grid(n_classes, loss, warm=warm, d=d)
    X = features["student"]
    for problem, head in zip(problems, solve(features, problems), strict=True):
        assert gradient_norm(X, problem, head) <= TOL
        _same(X, problem, head, fit(X, problem, TOL))


def test_a_penalty_towards_another_head() -> None:
    """As the same problem in the difference, whose fixed logits are one more feature's."""
    features, problems = _grid(2, CrossEntropy())
    X = features["student"]
    (centre,) = solve(features, problems[:1])
    for problem in problems[1:4]:
        tied = replace(problem, centre=centre)
        (head,) = solve(features, [tied])
        _same(X, tied, head, fit(X, tied, TOL))
        assert gradient_norm(X, tied, head) <= TOL
        (free,) = solve(features, [problem])
        assert objective_value(X, tied, head) < objective_value(X, tied, free)
        strong = replace(tied, l2=1e6)
        (held,) = solve(features, [strong])
        np.testing.assert_allclose(held.coef, centre.coef, atol=1e-5)


def test_objective_is_at_most_that_of_scikit_learn() -> None:
    features, problems = _grid(2, CrossEntropy())
    X = features["student"]
    for problem, head in zip(problems, solve(features, problems, tol=TOL), strict=True):
        if set(np.unique(problem.targets)) != {0.0, 1.0}:
            continue
        other = LogisticRegression(C=1 / (100 * problem.l2), tol=1e-8, max_iter=1000)
        other.fit(X[problem.rows], problem.targets[:, 1])
        theirs = objective_value(X, problem, Head(other.coef_.T, other.intercept_))
        assert objective_value(X, problem, head) <= theirs + 1e-12


def test_batching_and_memory_blocks_change_nothing_beyond_the_tolerance() -> None:
    features, problems = _grid(2, CrossEntropy())
    X = features["student"]
    together = solve(features, problems, tol=TOL)
    tight = block_bytes(100, 13, 2, 1)
    assert plan(features, problems, tight).n_blocks > plan(features, problems).n_blocks
    assert plan(features, problems, tight).bytes <= tight
    cut = solve(features, problems, tol=TOL, memory_limit=tight)
    for problem, one, two in zip(problems, together, cut, strict=True):
        _same(X, problem, one, two)
        _same(X, problem, one, solve(features, [problem], tol=TOL)[0])


def test_equal_problems_are_solved_once() -> None:
    features, problems = _grid(2, CrossEntropy())
    doubled = [*problems, *[replace(p, rows=p.rows.copy()) for p in problems]]
    assert plan(features, doubled).n_distinct == len(problems)
    heads = solve(features, doubled)
    for first, second in zip(heads[: len(problems)], heads[len(problems) :], strict=True):
        np.testing.assert_array_equal(first.coef, second.coef)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@example(seed=1238, n=4, n_classes=3, scales=[1.0, 1e-8, 1e8, 1e-8], weighted=False)
@given(**CASES)
def test_awkward_data_match_the_reference(**case: Any) -> None:
    X, problems = awkward(CrossEntropy(), **case)
    for problem, head in zip(problems, solve({"teacher": X}, problems, tol=TOL), strict=True):
        try:
            reference = fit(X, problem, TOL)
        except InputError:  # of the reference, whose one gradient stays above TOL
            reject()
        ours, theirs = (objective_value(X, problem, h) for h in (head, reference))
        assert abs(ours - theirs) <= objective_room(X, problem, head, reference, TOL)


def test_progress_and_interrupt_keep_finished_blocks() -> None:
    features, problems = _grid(2, CrossEntropy())
    tight = block_bytes(100, 13, 2, 1)
    seen: list[tuple[int, int]] = []
    solve(features, problems, memory_limit=tight, progress=lambda *x: seen.append(x))
    assert seen[-1] == (len(problems), len(problems))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    first = next(iterate(features, problems, memory_limit=tight))
    assert len(first.heads) == len(first.positions) > 0


def test_progress_moves_inside_a_block_and_counts_what_ended() -> None:
    features, problems = _grid(2, CrossEntropy())
    problems = [*problems, replace(problems[0]), *_grid(2, Squared())[1]]
    constant = replace(problems[0], targets=one_hot(np.ones(100, dtype=np.int64), 2))
    seen: list[tuple[int, int]] = []
    n_blocks = 0
    for _ in iterate(features, [*problems, constant], progress=lambda *x: seen.append(x)):
        n_blocks += 1
    assert len(seen) > n_blocks
    assert seen[-1] == (len(problems) + 1, len(problems) + 1)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_tolerance_out_of_reach_names_the_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    features, problems = _grid(2, CrossEntropy())
    monkeypatch.setattr(newton, "STEPS", 1)
    match = r"tol=1e-12 .* 1 of 1 student heads of CrossEntropy\(\) at l2=0.01 on 100 rows; raise"
    with pytest.raises(InputError, match=match):
        solve(features, problems, tol=1e-12)


def test_bad_input_is_named_before_any_work() -> None:
    features, problems = _grid(2, CrossEntropy())
    with pytest.raises(InputError, match="side='studnt' is unknown: did you mean 'student'"):
        iterate(features, [replace(problems[0], side="studnt")])
    with pytest.raises(InputError, match="memory_limit=1000 bytes is too small"):
        iterate(features, problems, memory_limit=1000)
    empty = replace(problems[0], rows=np.empty(0, np.int64), targets=np.empty((0, 2)))
    with pytest.raises(InputError, match="rows is empty"):
        iterate(features, [*problems, empty])
    with pytest.raises(InputError, match="tol"):
        iterate(features, problems, tol=0)


def test_no_problems_give_no_heads() -> None:
    assert solve({"student": np.ones((2, 2))}, []) == []


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_path_of_l2_gives_the_heads_of_each_l2(n_classes: int) -> None:
    features, problems = _grid(n_classes, CrossEntropy(), d=150)
    path = [replace(problem, l2=l2) for l2 in (1e-3, 1.0, 1e-1) for problem in problems]
    X = features["student"]
    for problem, head in zip(path, solve(features, path), strict=True):
        (own,) = solve(features, [problem])
        np.testing.assert_allclose(X @ head.coef, X @ own.coef, atol=1e-8)
