"""Rank ranges: the tests behind them, and what they claim of clear, equal and missing methods."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from w2s_groups.results.ranks import holm, paired_p, rank_ranges


def test_p_is_scipys_paired_t_test() -> None:
    one, two = np.random.default_rng(4).normal(size=(2, 3, 6))
    np.testing.assert_allclose(paired_p(one - two), reference.ttest_rel(one, two, axis=-1).pvalue)


def test_p_of_differences_without_scatter() -> None:
    np.testing.assert_array_equal(paired_p([[0.0, 0.0], [0.25, 0.25]]), [1.0, 0.0])


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 by 3, 2, 1: 0.03, 0.04, 0.04; 0.04 stays for the one that is 0.04
    np.testing.assert_allclose(holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(holm([0.9, 0.5]), [1.0, 1.0])
    # where the step-down rule stops, nothing later is rejected
    np.testing.assert_allclose(holm([0.04, 0.049, 0.001]), [0.08, 0.08, 0.003])


def test_clear_methods_have_one_rank_and_equal_ones_share_theirs() -> None:
    noise = np.random.default_rng(5).normal(0, 0.001, (4, 10))
    values = np.array([[0.9], [0.8], [0.8], [0.6]]) + noise
    values[2] = values[1][::-1]  # the same mean by the same numbers
    ranks = rank_ranges(values)
    assert [ranks.text(m) for m in range(4)] == ["1", "2-3", "2-3", "4"]
    # a draw effect that all methods share changes no paired difference
    shared = rank_ranges(values + np.random.default_rng(6).normal(0, 0.3, 10))
    assert [shared.text(m) for m in range(4)] == ["1", "2-3", "2-3", "4"]


def test_the_order_of_methods_does_not_matter() -> None:
    values = np.arange(6)[:, None] + np.random.default_rng(7).normal(0, 0.8, (6, 8))
    order = np.random.default_rng(8).permutation(6)
    for one, two in zip(rank_ranges(values), rank_ranges(values[order]), strict=True):
        np.testing.assert_array_equal(one[order], two)


def test_ranges_are_whole_consistent_and_blank_where_there_is_no_test() -> None:
    values = np.arange(5)[:, None] + np.random.default_rng(9).normal(0, 1, (5, 6))
    values[2] = np.nan
    ranks = rank_ranges(values)
    assert ranks.text(2) == ""
    rest = [0, 1, 3, 4]
    assert (ranks.best[rest] >= 1).all()
    assert (ranks.worst[rest] <= 4).all()
    assert (ranks.best[rest] <= ranks.worst[rest]).all()
    # every rank is left to some method
    for rank in range(1, 5):
        assert ((ranks.best[rest] <= rank) & (rank <= ranks.worst[rest])).any()
    assert rank_ranges(values[:, :1]).best.tolist() == [0] * 5
    assert rank_ranges(np.empty((3, 0))).worst.tolist() == [0] * 3
    assert rank_ranges(np.empty((0, 4))).best.size == 0


def test_sums_in_another_order_are_no_difference() -> None:
    accuracies = np.random.default_rng(10).integers(0, 250, (10, 4)) / 250
    one, two = accuracies.mean(axis=1), accuracies[:, ::-1] @ np.full(4, 0.25)
    assert rank_ranges([one, two + 1e-16]).text(0) == "1-2"
    assert rank_ranges([one, one + 0.1]).text(0) == "2"
    with pytest.raises(IndexError):
        rank_ranges([one]).text(1)
