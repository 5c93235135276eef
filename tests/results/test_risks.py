"""Risks against hand-made tables and identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_groups.core.errors import InputError
from w2s_groups.results import risks

Y = np.array([0, 0, 1, 1])
MINORITY = np.array([False, True, True, False])
VALUES = np.array([0.9, 0.5, 0.6, 0.8])


def test_accuracy_by_group_of_a_hand_made_table() -> None:
    value, n = risks.accuracy_by_group([0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 3, 3, 3], 4)
    np.testing.assert_allclose(value, [0.5, np.nan, np.nan, 2 / 3])
    assert n.tolist() == [2, 0, 0, 3]


def test_scores_become_labels_by_argmax() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    value, _ = risks.accuracy_by_group(scores, [0, 1, 0], [0, 1, 0], 2)
    assert value.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("pred", "y", "codes"),
    [
        ([0.2, 0.9], [0, 1], [0, 1]),  # float scores never equal a label: not silently 0
        ([[0.2], [0.9]], [0, 1], [0, 1]),  # argmax of one column is always 0
        ([[np.nan, 1.0], [0.5, 0.5]], [0, 1], [0, 1]),
        ([0, 1], [0.0, 1.0], [0, 1]),
        ([0, 1], [0, 1], [0, 4]),
        ([0, 1], [0, 1], [-1, 0]),
        ([0, 1, 1], [0, 1], [0, 1]),
    ],
)
def test_bad_predictions_are_refused(pred: object, y: object, codes: object) -> None:
    with pytest.raises(InputError):
        risks.accuracy_by_group(pred, y, codes, 4)  # type: ignore[arg-type]


def test_no_samples_at_all_is_missing_and_not_zero() -> None:
    value, n = risks.accuracy_by_group([], [], [], 3)
    assert np.isnan(value).all()
    assert n.tolist() == [0, 0, 0]


@given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
def test_permuting_groups_permutes_risks(order: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    y, pred = generator.integers(0, 2, (2, 50))
    codes = generator.integers(0, 3, 50)  # group 3 is absent
    value, n = risks.accuracy_by_group(pred, y, codes, 4)
    moved, moved_n = risks.accuracy_by_group(pred, y, np.asarray(order)[codes], 4)
    np.testing.assert_array_equal(moved[order], value)
    np.testing.assert_array_equal(moved_n[order], n)
    for aggregate in (risks.worst_group, risks.best_group, risks.balanced_mean):
        np.testing.assert_allclose(aggregate(moved), aggregate(value))


def test_each_aggregate_by_hand() -> None:
    assert risks.worst_group(VALUES) == 0.5
    assert risks.best_group(VALUES) == 0.9
    assert risks.minority_accuracy(VALUES, Y, MINORITY) == pytest.approx(0.55)
    assert risks.majority_accuracy(VALUES, Y, MINORITY) == pytest.approx(0.85)
    assert risks.balanced_mean(VALUES) == pytest.approx(0.7)
    assert risks.sample_mean(VALUES, [10, 0, 0, 30]) == pytest.approx(0.825)
    assert risks.train_weighted_mean(VALUES, [8, 1, 1, 0]) == pytest.approx(8.3 / 10)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_eta_mean_is_linear_in_eta_t(low: float, high: float, t: float) -> None:
    ends = [float(risks.eta_mean(VALUES, Y, MINORITY, eta)) for eta in (low, high)]
    middle = risks.eta_mean(VALUES, Y, MINORITY, (1 - t) * low + t * high)
    assert middle == pytest.approx((1 - t) * ends[0] + t * ends[1], abs=1e-12)


def test_eta_mean_is_the_accuracy_of_a_sample_drawn_at_that_mix() -> None:
    # 300 labelled at eta = 0.1 and priors (1/3, 2/3): counts by hand.
    counts = np.array([90, 10, 20, 180])
    expected = risks.sample_mean(VALUES, counts)
    assert risks.eta_mean(VALUES, Y, MINORITY, 0.1, [1 / 3, 2 / 3]) == pytest.approx(expected)


def test_eta_mean_at_one_half_is_the_balanced_mean_for_two_by_two_groups() -> None:
    expected = risks.balanced_mean(VALUES)
    assert risks.eta_mean(VALUES, Y, MINORITY, 0.5) == pytest.approx(expected)


def test_three_classes_share_minority_groups_equally() -> None:
    y, minority = np.repeat([0, 1, 2], 3), ~np.eye(3, dtype=bool).ravel()
    weights = risks.group_weights(y, minority, 0.3)
    expected = np.where(minority, 0.3 / 6, 0.7 / 3)
    np.testing.assert_allclose(weights, expected)
    # and at eta = 2/3 every group weighs the same
    np.testing.assert_allclose(risks.group_weights(y, minority, 2 / 3), 1 / 9)


@pytest.mark.parametrize("eta", [0.0, 0.25, 1.0])
def test_eta_is_the_minority_share_where_one_class_has_no_minority(eta: float) -> None:
    minority = np.array([False, False, False, True])  # CelebA's blond men
    weights = risks.group_weights(Y, minority, eta)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[minority].sum() == pytest.approx(eta)


@pytest.mark.parametrize("eta", [-0.1, 1.1, np.nan])
def test_eta_t_outside_its_range_is_refused(eta: float) -> None:
    with pytest.raises(InputError, match="eta_t"):
        risks.eta_mean(VALUES, Y, MINORITY, eta)


def test_an_absent_group_is_missing_in_means_that_need_it() -> None:
    values = np.array([0.9, np.nan, 0.6, 0.8])
    assert np.isnan(risks.eta_mean(values, Y, MINORITY, 0.5))
    assert np.isnan(risks.minority_accuracy(values, Y, MINORITY))
    assert np.isnan(risks.balanced_mean(values))
    assert np.isnan(risks.train_weighted_mean(values, [1, 1, 1, 1]))
    # ... and plays no part where it has no weight.
    assert risks.majority_accuracy(values, Y, MINORITY) == pytest.approx(0.85)
    assert risks.sample_mean(values, [1, 0, 1, 1]) == pytest.approx(2.3 / 3)
    assert risks.worst_group(values) == 0.6
    assert risks.best_group(values) == 0.9


def test_no_group_at_all_is_missing_everywhere() -> None:
    nothing = np.full((2, 4), np.nan)
    for aggregate in (risks.worst_group, risks.best_group, risks.balanced_mean):
        assert np.isnan(aggregate(nothing)).all()
    assert np.isnan(risks.sample_mean(nothing, np.zeros(4))).all()


def test_gain_by_hand() -> None:
    np.testing.assert_allclose(risks.gain([0.8, 0.7], [0.7, 0.8]), [0.1, -0.1])


def test_one_group_only_is_coded_by_its_own_number() -> None:
    value, n = risks.accuracy_by_group([0, 1], [0, 0], [2, 2], 4)
    np.testing.assert_array_equal(value, [np.nan, np.nan, 0.5, np.nan])
    assert n.tolist() == [0, 0, 2, 0]


def test_risks_and_their_errors_are_means_and_standard_errors_of_squares() -> None:
    errors, codes = np.array([1.0, -2.0, 4.0, 3.0, 0.5]), np.array([0, 0, 0, 2, 3])
    risk, n = risks.risk_by_group(errors, codes, 4, scale=10.0)
    np.testing.assert_allclose(risk, [70.0, np.nan, 90.0, 2.5])
    assert n.tolist() == [3, 0, 1, 1]
    np.testing.assert_allclose(risks.risk_by_group(errors, codes, 4)[0], risk / 10.0)
    found = risks.risk_errors(errors, codes, 4, scale=10.0)
    expected = 10.0 * np.std([1.0, 4.0, 16.0], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(found, [expected, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(risks.risk_errors(errors, codes, 4), found / 10.0)
    two = risks.risk_errors([1.0, 2.0], [0, 0], 1)
    assert two == pytest.approx(np.std([1.0, 4.0], ddof=1) / np.sqrt(2))
