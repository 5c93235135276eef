from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from reference_heads import fit, gradient_norm, objective_value, predict_proba
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import (
    ABSENT,
    GCE,
    Confidence,
    CrossEntropy,
    Head,
    Loss,
    Problem,
    one_hot,
)

TOL = 1e-9


def _data(n: int, d: int, n_classes: int, name: str = "") -> tuple[np.ndarray, np.ndarray]:
    rng = stream(1, f"test/logistic/{name}/{n}/{d}/{n_classes}")
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d)
    logits = X @ rng.normal(size=(d, n_classes)) + rng.gumbel(size=(n, n_classes))
    return X, logits.argmax(1)


def _problem(targets: np.ndarray, loss: Loss | None = None, l2: float = 1e-2) -> Problem:
    rows = np.arange(len(targets))
    return Problem("student", rows, targets, loss or CrossEntropy(), l2)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn(n_classes: int, weighted: bool) -> None:
    X, y = _data(200, 8, n_classes)
    weights = stream(2, "test/weights").random(200) if weighted else None
    problem = replace(_problem(one_hot(y, n_classes)), weights=weights)
    head = fit(X, problem, TOL)
    # scikit-learn minimises C Σ w loss + ‖coef‖²/2, so C = 1/(l2 Σ w).
    total = 200 if weights is None else weights.sum()
    other = LogisticRegression(C=1 / (problem.l2 * total), solver="newton-cg", tol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its line search gives up at the last digits
        other.fit(X, y, sample_weight=weights)
    # Both gradients are below 1e-8 and the objective is l2-strongly convex: 1e-8 √d / l2.
    np.testing.assert_allclose(head.coef.T, other.coef_, atol=3e-6)
    np.testing.assert_allclose(predict_proba(head, X), other.predict_proba(X), atol=3e-6)


def test_soft_targets_equal_duplicated_rows_with_weights() -> None:
    X, _ = _data(60, 5, 2)
    p = stream(3, "test/soft").random(60)
    soft = fit(X, _problem(np.column_stack([1 - p, p])), TOL)
    hard = Problem(
        "student",
        np.tile(np.arange(60), 2),
        one_hot(np.repeat([0, 1], 60), 2),
        CrossEntropy(),
        1e-2,
        weights=np.concatenate([1 - p, p]),
    )
    np.testing.assert_allclose(soft.coef, fit(X, hard, TOL).coef, atol=1e-7)


def test_one_sample_has_the_closed_form() -> None:
    # n = 1 with target t: the free intercept alone reaches log(t/(1−t)), so the coefficients are 0.
    head = fit(np.array([[2.0, -3.0]]), _problem(np.array([[0.2, 0.8]])), TOL)
    np.testing.assert_allclose(head.coef, 0, atol=1e-7)
    np.testing.assert_allclose(head.intercept, np.log(4), atol=1e-7)


def test_two_symmetric_samples_have_the_closed_form() -> None:
    # x = ±1, y = ±1: the intercept is 0 and w solves σ(−w) = l2 w.
    head = fit(np.array([[-1.0], [1.0]]), _problem(one_hot([0, 1], 2), l2=0.1), TOL)
    w = brentq(lambda w: expit(-w) - 0.1 * w, 0, 10, xtol=1e-14)
    np.testing.assert_allclose(head.coef[0, 0], w, atol=1e-7)
    np.testing.assert_allclose(head.intercept, 0, atol=1e-7)


def test_equal_features_give_the_log_odds() -> None:
    head = fit(np.full((10, 3), 7.0), _problem(one_hot([0] * 3 + [1] * 7, 2)), TOL)
    np.testing.assert_allclose(head.coef, 0, atol=1e-9)
    np.testing.assert_allclose(head.intercept, np.log(7 / 3), atol=1e-7)


@pytest.mark.parametrize("loss", [CrossEntropy(), GCE(0.7), Confidence(0.3)], ids=repr)
def test_one_class_gives_that_class_everywhere(loss: Loss) -> None:
    X, _ = _data(20, 4, 2)
    for label in (0, 1):
        head = fit(X, _problem(one_hot([label] * 20, 2), loss), TOL)
        assert not head.coef.any()
        np.testing.assert_allclose(predict_proba(head, X)[:, label], 1, atol=1e-15)
    head = fit(X, _problem(one_hot([2] * 20, 4), loss), TOL)
    np.testing.assert_allclose(predict_proba(head, X)[:, 2], 1, atol=1e-15)


def test_absent_class_changes_nothing_for_the_others() -> None:
    X, y = _data(120, 4, 3)
    without = fit(X, _problem(one_hot(y, 3)), TOL)
    with_absent = fit(X, _problem(one_hot(np.array([0, 1, 3])[y], 4)), TOL)
    np.testing.assert_allclose(with_absent.coef[:, [0, 1, 3]], without.coef, atol=1e-12)
    assert with_absent.intercept[2] == ABSENT
    np.testing.assert_allclose(predict_proba(with_absent, X)[:, 2], 0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("loss", [CrossEntropy(), GCE(0.7)], ids=repr)
def test_feature_scale_with_l2_in_its_units(scale: float, loss: Loss) -> None:
    # Scaling x by s and l2 by s² divides w by s and leaves the predictions alone.
    X, y = _data(100, 6, 2)
    base = fit(X, _problem(one_hot(y, 2), loss, 1e-2), TOL)
    scaled = fit(X * scale, _problem(one_hot(y, 2), loss, 1e-2 * scale**2), TOL)
    np.testing.assert_allclose(predict_proba(scaled, X * scale), predict_proba(base, X), atol=1e-6)


def test_mixed_scales_collinear_constant_and_duplicated_data_reach_the_tolerance() -> None:
    X, y = _data(80, 5, 2)
    X = np.column_stack([X, X[:, 0], X[:, 1] * 1e8, X[:, 2] * 1e-8, np.full(80, 5e7)])
    X, y = np.vstack([X, X[:10]]), np.append(y, y[:10])
    problem = _problem(one_hot(y, 2))
    head = fit(X, problem, TOL)
    assert gradient_norm(X, problem, head) <= 10 * TOL
    # Equal columns share their weight; l2 on either is the same.
    np.testing.assert_allclose(head.coef[0], head.coef[5], atol=1e-6)


def test_gce_ends_where_the_gradient_vanishes_below_its_start() -> None:
    X, y = _data(150, 6, 2)
    flipped = np.where(stream(4, "test/flip").random(150) < 0.2, 1 - y, y)
    plain = _problem(one_hot(flipped, 2), GCE(0.7), 1e-3)
    start = fit(X, replace(plain, loss=CrossEntropy()), TOL)
    for problem in (plain, replace(plain, init=start)):
        head = fit(X, problem, TOL)
        zero = Head(np.zeros((6, 1)), np.zeros(1))
        assert gradient_norm(X, problem, head) <= 10 * TOL
        first = objective_value(X, problem, problem.init or zero)
        assert objective_value(X, problem, head) < first


def test_gradient_norm_matches_finite_differences() -> None:
    X, y = _data(50, 3, 3)
    problem = _problem(one_hot(y, 3), GCE(0.5))
    rng = stream(5, "test/fd")
    head = Head(rng.normal(size=(3, 3)), rng.normal(size=3))
    unit = np.sqrt(X.var(0) + problem.l2)
    slopes = []
    for j in range(3):
        for k in range(3):
            step = np.zeros((3, 3))
            step[j, k] = 1e-6 / unit[j]
            shift = -X.mean(0) @ step  # a step in w at fixed centred intercept
            up = Head(head.coef + step, head.intercept + shift)
            down = Head(head.coef - step, head.intercept - shift)
            slopes.append(objective_value(X, problem, up) - objective_value(X, problem, down))
    for k in range(3):
        step0 = 1e-6 * np.eye(3)[k]
        up, down = Head(head.coef, head.intercept + step0), Head(head.coef, head.intercept - step0)
        slopes.append(objective_value(X, problem, up) - objective_value(X, problem, down))
    expected = np.abs(slopes).max() / 2e-6
    np.testing.assert_allclose(gradient_norm(X, problem, head), expected, rtol=1e-6)


def test_fit_is_deterministic() -> None:
    X, y = _data(60, 5, 3)
    heads = [fit(X, _problem(one_hot(y, 3), GCE(0.7)), TOL) for _ in range(2)]
    np.testing.assert_array_equal(heads[0].coef, heads[1].coef)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.empty(0, np.int64), "targets": np.empty((0, 2))}, "rows is empty"),
        ({"rows": np.array([0, 1, 2, 9])}, "rows reach from 0 to 9"),
        ({"targets": np.ones((3, 2)) / 2}, "targets have shape"),
        ({"targets": np.ones((4, 2))}, "probabilities"),
        ({"targets": np.full((4, 2), np.nan)}, "probabilities"),
        ({"l2": 0.0}, "l2=0.0 must be positive"),
        ({"l2": float("nan")}, "l2=nan"),
        ({"loss": GCE(0.0)}, "q=0.0"),
        ({"loss": Confidence(1.0)}, "alpha=1.0"),
        ({"weights": np.zeros(4)}, "weights"),
        ({"weights": np.ones(3)}, "weights have shape"),
        ({"init": Head(np.zeros((3, 1)), np.zeros(1))}, "init"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], message: str) -> None:
    problem = Problem("student", np.arange(4), np.full((4, 2), 0.5), CrossEntropy(), 0.1)
    with pytest.raises(InputError, match=message):
        fit(np.arange(8.0).reshape(4, 2), replace(problem, **change))  # type: ignore[arg-type]


def test_features_with_nan_are_refused() -> None:
    X = np.ones((4, 2))
    X[2, 1] = np.nan
    with pytest.raises(InputError, match="row 2"):
        fit(X, _problem(np.full((4, 2), 0.5)))
