"""Intervals against SciPy, coverage and hand computation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from w2s_groups.core.errors import InputError
from w2s_groups.results import stats


def test_mean_interval_is_scipys_t_interval() -> None:
    values = np.random.default_rng(1).normal(size=7)
    found = stats.mean_interval(values)
    expected = reference.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found.mean == pytest.approx(values.mean())
    np.testing.assert_allclose([found.low, found.high], expected)
    assert found.n == 7


def test_paired_gain_is_scipys_paired_t_test() -> None:
    student, teacher = np.random.default_rng(2).normal(size=(2, 6))
    found = stats.mean_interval(np.subtract(student, teacher))
    expected = reference.ttest_rel(student, teacher).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], expected)


def test_a_missing_seed_is_left_out_of_both_sides_of_a_pair() -> None:
    student, teacher = np.array([0.8, np.nan, 0.9, 0.7]), np.array([0.7, 0.1, 0.6, np.nan])
    found = stats.mean_interval(np.subtract(student, teacher))
    assert found.n == 2
    assert found.mean == pytest.approx(0.2)


def test_one_seed_has_a_mean_and_no_interval_and_none_has_neither() -> None:
    one = stats.mean_interval([0.4])
    assert one.mean == 0.4
    assert np.isnan(one.low)
    assert np.isnan(one.high)
    assert one.holds(0.0)
    none = stats.mean_interval([[np.nan, np.nan], [0.1, 0.3]])
    np.testing.assert_allclose(none.mean, [np.nan, 0.2])
    assert none.n.tolist() == [0, 2]


def test_seeds_that_agree_give_an_interval_of_no_width() -> None:
    same = stats.mean_interval([0.25, 0.25, 0.25])
    assert (same.low, same.high) == (0.25, 0.25)
    assert not same.holds(0.0)


def test_p_is_scipys_paired_t_test_and_leaves_missing_seeds_out() -> None:
    one, two = np.random.default_rng(4).normal(size=(2, 3, 6))
    expected = reference.ttest_rel(one, two, axis=-1).pvalue
    np.testing.assert_allclose(stats.paired_p(one - two), expected)
    gap = np.concatenate([one - two, np.full((3, 1), np.nan)], axis=1)
    np.testing.assert_allclose(stats.paired_p(gap), expected)


def test_the_grain_is_added_to_the_scatter_of_a_paired_test() -> None:
    difference, step = np.array([0.1, 0.2, 0.1, 0.0]), 0.1
    t = difference.mean() / np.sqrt((difference.var(ddof=1) + step**2 / 6) / 4)
    assert stats.paired_p(difference, step) == pytest.approx(2 * reference.t.sf(t, 3))
    np.testing.assert_array_equal(stats.paired_p([[0.0] * 3, [0.25] * 3]), [1.0, 0.0])
    assert 0.05 < stats.paired_p([0.004] * 3, 0.004) < 0.06  # one row of 250, three times
    assert stats.paired_p([0.02] * 3, 0.004) < 0.01


def test_nothing_is_sure_below_three_seeds() -> None:
    found = stats.significant_sign(
        [[0.3, 0.3, np.nan], [0.3, 0.3, 0.3], [-0.3, -0.3, -0.31], [0.1, 0, -0.1]]
    )
    assert found.tolist() == [0, 1, -1, 0]
    assert stats.significant_sign(np.full((2, 1), 0.5)).tolist() == [0, 0]
    assert stats.significant_sign(np.empty((2, 0))).tolist() == [0, 0]


def test_an_interval_of_accuracies_is_students_cut_off_at_0_and_1() -> None:
    values = [[0.99, 1.0, 0.95], [0.5, 0.6, 0.4], [0.0, 0.02, 0.0]]
    found, plain = stats.accuracy_interval(values), stats.mean_interval(values)
    assert (plain.high[0] > 1.0, plain.low[2] < 0.0) == (True, True)
    np.testing.assert_array_equal(found.low, np.maximum(plain.low, 0.0))
    np.testing.assert_array_equal(found.high, np.minimum(plain.high, 1.0))
    assert np.isnan(stats.accuracy_interval([1.0], 0.05).low)


def test_seeds_that_are_all_right_do_not_show_that_every_one_is() -> None:
    found = stats.accuracy_interval([1.0, 1.0, 1.0], 0.05)
    half = reference.t.ppf(0.975, 2) * 0.05 / np.sqrt(12) / np.sqrt(3)
    np.testing.assert_allclose([found.low, found.high], [1.0 - half, 1.0])


def test_pgr_by_hand_when_seeds_agree() -> None:
    found = stats.pgr_interval([0.8, 0.8, 0.8], [0.7, 0.7, 0.7], [0.9, 0.9, 0.9])
    np.testing.assert_allclose(found[:3], 0.5)


@pytest.mark.parametrize("student", [[1.0, 0.99, 1.0], [0.6, 0.59, 0.61]])
def test_pgr_is_blank_where_the_gap_is_surely_negative(student: list[float]) -> None:
    teacher, ceiling = [1.0, 0.99, 1.0], [0.8, 0.81, 0.8]
    assert stats.significant_sign(np.subtract(ceiling, teacher)) == -1
    assert np.isnan(stats.pgr_interval(student, teacher, ceiling)[:3]).all()
    # the same numbers the other way round have a PGR
    assert np.isfinite(stats.pgr_interval(student, ceiling, teacher)[:3]).all()


def test_pgr_of_two_seeds_is_blank_however_large_the_gap() -> None:
    assert np.isnan(stats.pgr_interval([0.8, 0.8], [0.7, 0.7], [0.9, 0.9])[:3]).all()


def test_pgr_is_blank_where_the_gap_may_be_zero() -> None:
    teacher = np.full(4, 0.7)
    student = teacher + np.array([0.1, 0.12, 0.09, 0.11])
    ceiling = teacher + np.array([0.2, -0.1, 0.15, -0.12])
    assert stats.mean_interval(np.subtract(ceiling, teacher)).holds(0.0)
    assert np.isnan(stats.pgr_interval(student, teacher, ceiling)[:3]).all()
    # one seed: no interval of the gap, so no ratio
    assert np.isnan(stats.pgr_interval([0.8], [0.7], [0.9]).mean)
    # the same gap on every seed is off zero
    assert np.isfinite(stats.pgr_interval(student, teacher, teacher + 0.2).mean)


def test_fiellers_bounds_are_where_the_t_test_of_the_linear_contrast_turns() -> None:
    generator = np.random.default_rng(5)
    top, bottom = generator.normal(1.0, 0.2, 8), generator.normal(2.0, 0.2, 8)
    found = stats.ratio_interval(top, bottom)
    for bound in (found.low, found.high):
        test = reference.ttest_1samp(top - bound * bottom, 0.0)
        assert test.pvalue == pytest.approx(0.05, abs=1e-9)
    assert found.low < found.mean < found.high


def test_ratio_interval_covers_as_often_as_it_says() -> None:
    generator, runs = np.random.default_rng(6), 4000
    shared = generator.normal(0, 0.1, (runs, 6))
    top = 0.3 + shared + generator.normal(0, 0.1, (runs, 6))
    bottom = 1.0 + shared
    found = stats.ratio_interval(top, bottom)
    covered = ((found.low <= 0.3) & (found.high >= 0.3)).mean()
    # Exact for normal pairs: binomial standard error 0.0034; four of them.
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / runs))


def test_wilson_is_scipys_where_a_count_stands_behind_it() -> None:
    n = np.array([1, 7, 250, 642])
    for right in (np.zeros_like(n), n, (0.8 * n).astype(int)):
        found = stats.wilson(right / n, n)
        for k, (successes, size) in enumerate(zip(right, n, strict=True)):
            test = reference.binomtest(int(successes), int(size))
            expected = test.proportion_ci(0.95, method="wilson")
            np.testing.assert_allclose(
                [found.low[k], found.high[k]], [expected.low, expected.high], atol=1e-12
            )


def test_wilson_takes_means_between_counts_and_leaves_absent_groups_blank() -> None:
    between = stats.wilson(0.805, 10)
    assert stats.wilson(0.8, 10).low < between.low < stats.wilson(0.9, 10).low
    blank = stats.wilson([0.5, np.nan], [0, 10])
    assert np.isnan(blank[:3]).all()
    for value, size in ((1.2, 10), (-0.1, 10), (0.5, -1)):
        with pytest.raises(InputError):
            stats.wilson(value, size)


def test_a_ratio_to_one_is_the_numerator_and_to_zero_is_missing() -> None:
    found = stats.ratio_interval([[0.2, 0.3, 0.4]] * 2, [[1.0] * 3, [0.0] * 3])
    of_mean = stats.mean_interval([0.2, 0.3, 0.4])
    np.testing.assert_allclose(found.mean, [0.3, np.nan])
    np.testing.assert_allclose([found.low[0], found.high[0]], [of_mean.low, of_mean.high])
    assert np.isnan([found.low[1], found.high[1]]).all()
