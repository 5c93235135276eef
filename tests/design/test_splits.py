"""Several splits: what they share, what they never share, and what they do not depend on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_groups.design import splits
from w2s_groups.design.splits import Fold, Origin


def animals(n: int = 12, places: int = 7, each: int = 2) -> tuple[Origin, NDArray[np.int64]]:
    """Every animal of two classes before every place of two kinds; and the group of each row."""
    rows = [
        (f"{y}/animal {i}", f"{a}/place {j}", y, a)
        for y, i, a, j, _ in itertools.product(
            range(2), range(n), range(2), range(places), range(each)
        )
    ]
    y, a = (np.array([row[k] for row in rows]) for k in (2, 3))
    origin = splits.origin([row[0] for row in rows], [row[1] for row in rows], y, a)
    return origin, 2 * y + a


def shares_nothing(origin: Origin, fold: Fold) -> bool:
    return not any(
        np.intersect1d(codes[fold.pool], codes[fold.test]).size
        for codes in (origin.identity, origin.place)
    )


def test_every_pair_of_an_identity_and_a_place_is_tested_exactly_once() -> None:
    origin, group = animals()
    folds = splits.crossed(origin, 3, 3, 0)
    assert len(folds) == 9
    np.testing.assert_array_equal(sum(fold.test.astype(int) for fold in folds), 1)
    assert all(shares_nothing(origin, fold) for fold in folds)
    for fold in folds:  # every group on both sides
        assert (np.bincount(group[fold.pool], minlength=4) > 0).all()
        assert (np.bincount(group[fold.test], minlength=4) > 0).all()


def test_folds_hold_as_many_of_each_class_give_or_take_one() -> None:
    origin, _ = animals(n=11, places=8)
    for which in splits.HALVES:
        fold, stratum = splits.dealt(origin, which, 3, 5), origin.stratum[which]
        for value in (0, 1):
            sizes = np.bincount(fold[stratum == value], minlength=3)
            assert sizes.max() - sizes.min() <= 1
        whole = np.bincount(fold, minlength=3)
        assert whole.max() - whole.min() <= 1


def test_rows_in_another_order_are_split_alike() -> None:
    origin, _ = animals()
    order = np.random.default_rng(0).permutation(len(origin.identity))
    for one, other in zip(
        splits.crossed(origin, 3, 3, 1), splits.crossed(origin.at(order), 3, 3, 1), strict=True
    ):
        np.testing.assert_array_equal(one.test[order], other.test)
        np.testing.assert_array_equal(one.pool[order], other.pool)


def test_another_seed_gives_other_folds() -> None:
    origin, _ = animals()
    one, other = (splits.crossed(origin, 3, 3, seed)[0].test for seed in (0, 1))
    assert (one != other).any()


def test_random_splits_share_no_identity_and_no_place() -> None:
    origin, group = animals()
    folds = splits.random(origin, 6, 1 / 3, 0)
    assert all(shares_nothing(origin, fold) for fold in folds)
    for fold in folds:
        assert (np.bincount(group[fold.test], minlength=4) == 4 * 2 * 2).all()
    assert len({fold.test.tobytes() for fold in folds}) == 6


def test_one_place_for_all_is_on_both_sides() -> None:
    y = np.arange(40) % 2
    origin = splits.origin([f"author {k // 2}" for k in range(40)], None, y, y)
    for fold in splits.random(origin, 4, 0.25, 0):
        assert (fold.pool ^ fold.test).all()
        assert not np.intersect1d(origin.identity[fold.pool], origin.identity[fold.test]).size


@pytest.mark.parametrize("which", splits.HALVES)
def test_halves_part_the_pool_by_its_identities_or_places(which: str) -> None:
    origin, group = animals(n=13)
    pool = splits.crossed(origin, 3, 3, 0)[4].pool
    one, other = splits.halves(origin, which, pool, 0, 4)
    np.testing.assert_array_equal(one ^ other, pool)
    codes, _ = origin.side(which)
    assert not np.intersect1d(codes[one], codes[other]).size
    sizes = [len(np.unique(codes[half])) for half in (one, other)]
    assert abs(sizes[0] - sizes[1]) <= 1
    assert all((np.bincount(group[half], minlength=4) > 0).all() for half in (one, other))


def test_an_identity_of_two_classes_is_on_one_side() -> None:
    y = np.array([0, 1, 0, 0, 1, 1, 0, 1])
    origin = splits.origin(["a", "a", "b", "b", "c", "c", "d", "d"], None, y, y)
    for fold in splits.random(origin, 5, 0.5, 3):
        assert not np.intersect1d(origin.identity[fold.pool], origin.identity[fold.test]).size


def test_halves_of_odd_classes_differ_by_one_and_each_fold_has_its_own() -> None:
    origin, _ = animals(n=13)
    everything = np.ones(len(origin.identity), dtype=bool)
    halves = [splits.halves(origin, "identities", everything, 0, fold) for fold in range(6)]
    sizes = [[len(np.unique(origin.identity[half])) for half in both] for both in halves]
    assert sizes == [[13, 13]] * 6  # 7 of one class go with 6 of the other
    assert len({one.tobytes() for one, _ in halves}) > 1


def test_random_splits_test_and_draw_from_every_class_at_any_fraction() -> None:
    origin, group = animals(n=3, places=3)
    for fraction in (0.01, 0.99):
        for fold in splits.random(origin, 3, fraction, 0):
            for rows in (fold.pool, fold.test):
                assert (np.bincount(group[rows], minlength=4) > 0).all(), fraction


def test_identities_and_places_are_dealt_by_draws_of_their_own() -> None:
    origin, _ = animals(n=8, places=8)
    one, other = (splits.dealt(origin, which, 4, 0) for which in splits.HALVES)
    assert one.tolist() != other.tolist()


def test_an_identity_with_as_many_of_two_classes_counts_as_the_lower() -> None:
    y = np.array([1, 0, 2, 1, 1, 0])
    origin = splits.origin(["a", "a", "b", "b", "c", "c"], None, y, y)
    assert origin.stratum["identities"].tolist() == [0, 1, 0]
