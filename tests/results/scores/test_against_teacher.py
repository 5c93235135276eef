"""Blind spots and error similarity: tables by hand and identities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from w2s_groups.results.scores.blind_spots import blind_spots, threshold
from w2s_groups.results.scores.error_similarity import error_similarity


def two(*second: float) -> np.ndarray:
    p = np.array(second)
    return np.stack([1 - p, p], axis=1)


def test_blind_spots_by_hand() -> None:
    """Rows: the pattern; a right student; a sure teacher; an unsure student; both edges."""
    student = two(0.9, 0.9, 0.9, 0.7, 0.75)
    teacher = two(0.6, 0.6, 0.8, 0.6, 0.3)
    y = np.array([0, 1, 0, 0, 0])
    assert blind_spots(student, teacher, y) == pytest.approx(2 / 5)
    assert blind_spots(student, teacher, y, [1, 1, 1, 1, 0]) == pytest.approx(1 / 4)
    assert blind_spots(teacher, teacher, y) == 0.0  # nobody is sure and unsure of a row
    assert np.isnan(blind_spots(student[:0], teacher[:0], y[:0]))


def test_the_threshold_is_halfway_from_chance_to_certainty() -> None:
    assert threshold(2) == 0.75
    assert threshold(4) == 0.625


def test_error_similarity_by_hand() -> None:
    """c_obs = (0.8 0.6 + 0.2 0.4 + 0.3 0.9 + 0.7 0.1) / 2 = 0.45; p = 0.75, q = 0.35."""
    one, other = two(0.8, 0.3), two(0.6, 0.9)
    y = np.array([1, 0])
    expected = 0.75 * 0.35 + 0.25 * 0.65
    assert error_similarity(one, other, y) == pytest.approx((0.45 - expected) / (1 - expected))
    # Three classes: errors are shared among the two others.
    a, b = np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.5, 0.3]])
    observed, expected = 0.12 + 0.15 + 0.03, 0.6 * 0.2 + 0.4 * 0.8 / 2
    found = error_similarity(a, b, np.array([0]))
    assert found == pytest.approx((observed - expected) / (1 - expected))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_decisions_that_are_the_same_have_one_and_independent_ones_none(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    n = 40_000
    y = rng.integers(0, n_classes, n)

    def decided(accuracy: float) -> np.ndarray:
        """Right with this probability, wrong evenly over the other classes."""
        wrong = (y + rng.integers(1, n_classes, n)) % n_classes
        return np.eye(n_classes)[np.where(rng.random(n) < accuracy, y, wrong)]

    one, other = decided(0.8), decided(0.7)
    assert error_similarity(one, one, y) == pytest.approx(1.0)
    assert abs(error_similarity(one, other, y)) < 4 / np.sqrt(n)
    assert error_similarity(one, other, y) == error_similarity(other, one, y)
    soft = 0.9 * one + 0.1 / n_classes
    assert 0.5 < error_similarity(soft, soft, y) < 1.0


def test_two_classes_decided_are_cohens_kappa_of_being_right() -> None:
    """Error consistency (Geirhos et al. 2020), which CAPA is of two classes and decisions."""
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, 500)
    one, other = (np.where(rng.random(500) < rate, y, 1 - y) for rate in (0.8, 0.6))
    found = error_similarity(np.eye(2)[one], np.eye(2)[other], y)
    assert found == pytest.approx(cohen_kappa_score(one == y, other == y))


def test_certain_and_right_models_leave_no_errors_to_compare() -> None:
    y = np.array([0, 1, 1])
    assert np.isnan(error_similarity(np.eye(2)[y], np.eye(2)[y], y))
    assert error_similarity(np.eye(2)[y], np.eye(2)[1 - y], y) == -0.0
    assert error_similarity(two(0.0, 1.0), two(0.0, 0.0), np.array([1, 1])) < 1
    assert np.isnan(error_similarity(two()[:0], two()[:0], y[:0]))
