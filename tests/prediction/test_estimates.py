"""Samples -> means, intervals and probabilities, and their comparison with measured draws."""

from __future__ import annotations

import numpy as np
import pytest
from measured_draws import compared_with_draws
from worlds import TWO

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.estimates import interval_estimate, metric_estimates, metric_values
from w2s_groups.prediction.mixes import Prediction

TEACHER = np.array([[[0.9, 0.5, 0.6, 0.8], [0.8, 0.7, 0.6, 0.9]]])  # 1 mix, 2 samples, 4 groups
STUDENT = TEACHER[:, None] + np.array([0.1, 0.0, 0.1, -0.1])


def test_metrics_are_those_of_risks() -> None:
    for metric, want in (
        ("average", [0.7, 0.75]),
        ("majority", [0.85, 0.85]),
        ("minority", [0.55, 0.65]),
        ("worst_group", [0.5, 0.6]),
    ):
        np.testing.assert_allclose(metric_values(TEACHER[0], metric, TWO), want)
    with pytest.raises(InputError, match="metric='worst' is unknown: did you mean 'worst_group'"):
        metric_values(TEACHER, "worst", TWO)


def test_the_worst_group_is_taken_draw_by_draw() -> None:
    estimates = metric_estimates(Prediction(TEACHER, STUDENT, np.full(4, 10)), "worst_group", TWO)
    np.testing.assert_allclose(estimates.teacher.mean, [0.55])
    # The worst of the groups' means would be 0.6: the worst group is not the same one each time.
    assert TEACHER.mean(axis=1).min() == pytest.approx(0.6)
    np.testing.assert_allclose(estimates.gain.mean, [[0.05]])
    np.testing.assert_allclose(
        estimates.gain_probability, [[0.75]]
    )  # 0 in one draw, 0.1 in the other


def test_intervals_of_few_samples_hold_their_share_on_average() -> None:
    rng = np.random.default_rng(0)
    values, new = rng.standard_normal((4000, 64)), rng.standard_normal(4000)
    interval = interval_estimate(values)
    share = ((new >= interval.low) & (new <= interval.high)).mean()
    assert share == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))


def test_mirrored_samples_have_the_error_of_their_pairs() -> None:
    half = np.random.default_rng(0).standard_normal(50)
    assert interval_estimate(np.concatenate([half, -half])).error == pytest.approx(0, abs=1e-15)
    assert interval_estimate(np.concatenate([half, half])).error == pytest.approx(
        half.std(ddof=1) / 50**0.5
    )


def test_comparisons_count_cells_signs_and_draws() -> None:
    predicted = np.broadcast_to(np.array([0.8, 0.71])[None, :, None, None], (1, 2, 4, 4))
    P = Prediction(np.full((1, 4, 4), 0.7), predicted, np.full(4, 10))
    teacher = np.full((3, 1, 4), 0.7)
    student = np.stack([np.full((1, 2, 4), value) for value in (0.79, 0.8, 0.81)])
    student[:, :, 1] -= 0.12  # measured 0.68: a loss where a gain was predicted
    comparison = compared_with_draws(P, teacher, student, "average", TWO)
    assert comparison.teacher.near.tolist() == [True]
    assert comparison.teacher.covered.tolist() == [1.0]
    assert comparison.student.near.tolist() == [[True, False]]
    np.testing.assert_allclose(comparison.student.covered, [[1 / 3, 0]])
    assert comparison.clear.tolist() == [[True, True]]
    assert comparison.right.tolist() == [[True, False]]


def test_a_level_outside_0_to_1_is_refused() -> None:
    with pytest.raises(InputError, match="level=95 must lie in"):
        metric_estimates(Prediction(TEACHER, STUDENT, np.full(4, 10)), "average", TWO, level=95)
