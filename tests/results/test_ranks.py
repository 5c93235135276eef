"""Rank ranges: the tests behind them, and what they claim of clear, equal and missing methods."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_groups.results.ranks import holm, rank_ranges, survival


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
    assert rank_ranges(np.empty((3, 0))).worst.tolist() == [0] * 3
    assert rank_ranges(np.empty((0, 4))).best.size == 0


def test_sums_in_another_order_are_no_difference() -> None:
    accuracies = np.random.default_rng(10).integers(0, 250, (10, 4)) / 250
    one, two = accuracies.mean(axis=1), accuracies[:, ::-1] @ np.full(4, 0.25)
    assert rank_ranges([one, two + 1e-16]).text(0) == "1-2"
    assert rank_ranges([one, one + 0.1]).text(0) == "2"
    with pytest.raises(IndexError):
        rank_ranges([one]).text(1)


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_every_rank_stays_open(seeds: int) -> None:
    values = np.array([[0.9], [0.7], [0.2]]) + np.zeros(seeds)
    ranks = rank_ranges(values)
    assert [ranks.text(m) for m in range(3)] == ["1-3"] * 3
    assert rank_ranges(values, step=1e-6).text(0) == "1-3"


def test_a_coarse_grain_leaves_open_what_a_fine_one_separates() -> None:
    values = [[0.8, 0.8, 0.8], [0.7, 0.7, 0.7]]
    assert rank_ranges(values, step=0.001).text(0) == "1"
    assert rank_ranges(values, step=0.1).text(0) == "1-2"
    assert rank_ranges(values).text(0) == "1-2"  # all that is known is a gap of 0.1
    # between three methods and more the smallest gap counts
    assert rank_ranges([*values, [0.7, 0.701, 0.7]]).text(0) == "1"


def test_a_ranking_survives_as_often_as_counting_all_resamples_says() -> None:
    values = np.random.default_rng(3).normal([[0.2], [0.0], [-0.1]], 0.3, (3, 4))
    picks = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T  # all 256, each as likely
    means = values[:, picks].mean(axis=-1)
    place = np.argsort(-values.mean(axis=1))
    first = (means.argmax(axis=0) == place[0]).mean()
    order = (np.argsort(-means, axis=0) == place[:, None]).all(axis=0).mean()
    found = survival(values)
    error = 4 * np.sqrt(0.25 / 10_000)
    assert found.first == pytest.approx(first, abs=error)
    assert found.order == pytest.approx(order, abs=error)
    assert 0.2 < found.order < found.first < 1.0


def test_a_clear_ranking_survives_always_and_methods_that_tie_keep_their_places() -> None:
    assert survival([[0.9, 0.8], [0.5, 0.6], [0.1, 0.2]]) == (1.0, 1.0)
    assert survival([[0.5, 0.6, 0.7], [0.5, 0.6, 0.7]]) == (1.0, 1.0)
