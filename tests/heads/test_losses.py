from __future__ import annotations

import numpy as np
import pytest
from reference_losses import curvature, log_probabilities, value_and_gradient
from scipy.special import expit

from w2s_groups.core.seeds import stream
from w2s_groups.heads.problem import GCE, Confidence, CrossEntropy, Loss

LOSSES: list[Loss] = [CrossEntropy(), GCE(0.7), GCE(1.0), GCE(1e-3), Confidence(0.4)]


def _case(n_classes: int, hard: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = stream(0, f"test/losses/{n_classes}")
    K = 1 if n_classes == 2 else n_classes
    logits, direction = rng.normal(size=(2, 40, K)) * 3
    targets = rng.dirichlet(np.ones(n_classes), size=40)
    if hard:
        targets = np.eye(n_classes)[targets.argmax(1)]
    return logits, targets, direction


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("hard", [True, False])
def test_gradient_and_curvature_are_derivatives(loss: Loss, n_classes: int, hard: bool) -> None:
    logits, targets, direction = _case(n_classes, hard)
    h = 1e-5
    up, down = logits + h * direction, logits - h * direction
    _, gradient = value_and_gradient(loss, logits, targets)
    slope = (
        value_and_gradient(loss, up, targets)[0] - value_and_gradient(loss, down, targets)[0]
    ) / (2 * h)
    # Central differences: h² |direction|³ ~ 1e-10 · 1e3 from the third derivative, eps/h ~ 1e-11.
    np.testing.assert_allclose((gradient * direction).sum(1), slope, atol=1e-6)
    bend = (
        value_and_gradient(loss, up, targets)[1] - value_and_gradient(loss, down, targets)[1]
    ) / (2 * h)
    np.testing.assert_allclose(curvature(loss, logits, targets, direction), bend, atol=1e-6)


def test_gce_tends_to_cross_entropy_as_q_vanishes() -> None:
    logits, targets, _ = _case(4, False)
    value, gradient = value_and_gradient(CrossEntropy(), logits, targets)
    near_value, near_gradient = value_and_gradient(GCE(1e-9), logits, targets)
    # First order in q: q/2 · Σ t log² p, with |log p| < 30.
    np.testing.assert_allclose(near_value, value, atol=1e-9 * 30**2)
    np.testing.assert_allclose(near_gradient, gradient, atol=1e-9 * 30)


def test_gce_matches_its_definition_where_that_is_safe() -> None:
    logits, targets, _ = _case(4, False)
    p = np.exp(log_probabilities(logits))
    expected = (targets * (1 - p**0.7) / 0.7).sum(1)
    np.testing.assert_allclose(value_and_gradient(GCE(0.7), logits, targets)[0], expected)


def test_gce_of_exponent_one_is_one_minus_probability() -> None:
    z = np.linspace(-5, 5, 11)[:, None]
    targets = np.tile([0.0, 1.0], (11, 1))
    value, gradient = value_and_gradient(GCE(1.0), z, targets)
    p = expit(z[:, 0])
    np.testing.assert_allclose(value, 1 - p, atol=1e-15)
    np.testing.assert_allclose(gradient[:, 0], -p * (1 - p), atol=1e-15)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_extreme_logits_stay_finite(loss: Loss) -> None:
    z = np.array([[-800.0], [800.0]])
    for targets in (np.tile([0.0, 1.0], (2, 1)), np.tile([1.0, 0.0], (2, 1))):
        value, gradient = value_and_gradient(loss, z, targets)
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()


def test_gradient_keeps_its_relative_size_where_the_probability_underflows() -> None:
    # p = e^-600 is far below float32 and p^(q−1) would overflow; the gradient is −p^q (1 − p).
    _, gradient = value_and_gradient(GCE(0.5), np.array([[-600.0]]), np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(gradient[0, 0], -np.exp(-300.0), rtol=1e-12)


def test_confidence_with_tied_logits_decides_for_neither() -> None:
    _, gradient = value_and_gradient(Confidence(0.5), np.zeros((1, 1)), np.array([[0.5, 0.5]]))
    assert gradient[0, 0] == 0
