"""Draws: exact counts, disjoint sets, nesting, feasibility."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data import ondisk
from w2s_groups.data.base import TRAIN, ImageDataset
from w2s_groups.data.folder import Folder
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import (
    Draw,
    Request,
    apportion,
    apportion_capped,
    check_feasible,
    class_priors,
    draw,
    group_counts,
)
from w2s_groups.experiment.pool import check_requests

BIRDS = Groups(("mammal", "bird"), ("land", "water"))
THREE = Groups(("a", "b", "c"), ("p", "q", "r"))
EVEN = np.array([0.5, 0.5])
POOL = np.repeat(np.arange(4), 900)


def largest_remainder(total: int, shares: list[float]) -> list[int]:
    """Hamilton's method, written out on its own."""
    quotas = [total * share for share in shares]
    seats = [int(q + 1e-9) for q in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: (seats[i] - quotas[i], i))
    for i in by_remainder[: total - sum(seats)]:
        seats[i] += 1
    return seats


@given(st.integers(0, 400), st.integers(0, 40))
def test_apportion_is_largest_remainder_for_two_shares(total: int, fortieth: int) -> None:
    shares = [fortieth / 40, 1 - fortieth / 40]
    quota = total * fortieth % 40
    if quota != 20:  # at an exact half either share may have the seat
        assert apportion(total, shares).tolist() == largest_remainder(total, shares)


def every_quotient(total: int, shares: list[float]) -> list[int]:
    """Sainte-Laguë's table written out, a row a share: its `total` largest entries are seats."""
    weights = np.asarray(shares) / np.sum(shares)
    quotients = weights[:, None] / (2 * np.arange(total) + 1)
    exponent = np.floor(np.log10(np.where(quotients > 0, quotients, 1.0)))
    rounded = np.round(quotients / 10.0**exponent, 12) * 10.0**exponent
    largest = np.argsort(-rounded.ravel(), kind="stable")[:total]
    return np.bincount(largest // max(total, 1), minlength=len(shares)).tolist()


SHARES = st.one_of(
    st.integers(0, 9).map(float), st.integers(-9, 2).map(lambda k: 10.0**k), st.floats(1e-6, 1)
)


@given(st.lists(SHARES, min_size=1, max_size=30).filter(any), st.integers(0, 300))
def test_apportion_compares_only_the_quotients_that_decide(shares: list[float], n: int) -> None:
    assert apportion(n, shares).tolist() == every_quotient(n, shares)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(0, 200))
def test_apportion_sums_up_and_never_takes_a_seat_away(shares: list[int], total: int) -> None:
    seats, more = apportion(total, shares), apportion(total + 1, shares)
    assert seats.sum() == total
    assert (more >= seats).all()


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(1, 20))
def test_apportion_is_exact_where_quotas_are_whole(shares: list[int], times: int) -> None:
    assert apportion(times * sum(shares), shares).tolist() == [times * s for s in shares]


def test_equal_quotients_go_to_the_first_whatever_rounding_does() -> None:
    # The tenth seat: 1/1, 1/1 and 5/5 tie, as do 1/3 and 5/15, which differ in their last bit.
    assert apportion(10, [1, 1, 5]).tolist() == [2, 1, 7]
    assert apportion(1, [1, 1]).tolist() == [1, 0]


def test_counts_by_hand() -> None:
    # n π_y = 150 each; 300 * 0.05 = 15 minority samples, 8 and 7.
    assert group_counts(BIRDS, EVEN, 300, 0.05).tolist() == [142, 8, 7, 143]
    assert group_counts(BIRDS, EVEN, 1000, 0.35).tolist() == [325, 175, 175, 325]
    assert group_counts(BIRDS, EVEN, 100, 0.0).tolist() == [50, 0, 0, 50]
    assert group_counts(BIRDS, [0.25, 0.75], 400, 0.1).tolist() == [90, 10, 30, 270]


def test_several_minority_groups_of_a_class_share_equally() -> None:
    assert group_counts(THREE, np.full(3, 1 / 3), 120, 0.1).reshape(3, 3).tolist() == [
        [36, 2, 2],
        [2, 36, 2],
        [2, 2, 36],
    ]


def test_eta_is_the_fraction_of_the_whole_set_when_one_class_has_no_minority() -> None:
    celeba = Groups(("dark", "blond"), ("female", "male"), frozenset({(1, 1)}))
    counts = group_counts(celeba, EVEN, 100, 0.1)
    assert counts.tolist() == [25, 25, 40, 10]
    with pytest.raises(InputError, match="allow only 0 to 10"):
        group_counts(celeba, [0.9, 0.1], 100, 0.3)


@given(st.integers(2, 300), st.floats(0, 0.5), st.floats(0, 0.5), st.integers(0, 5))
def test_draws_nest_along_eta(n: int, eta_1: float, eta_2: float, seed: int) -> None:
    low, high = sorted((eta_1, eta_2))
    one = draw(BIRDS, POOL, EVEN, Request(n, n, low, low), seed)
    two = draw(BIRDS, POOL, EVEN, Request(n, n, high, high), seed)
    for rows_1, rows_2, counts_1, counts_2 in (
        (one.labelled, two.labelled, one.counts_l, two.counts_l),
        (one.unlabelled, two.unlabelled, one.counts_u, two.counts_u),
    ):
        swapped = n - len(np.intersect1d(rows_1, rows_2))
        assert swapped == np.abs(counts_1 - counts_2).sum() // 2


def by_seed(seed: int, **changes: float) -> Draw:
    request = {"n_l": 300, "n_u": 1000, "eta_l": 0.05, "eta_u": 0.35, **changes}
    return draw(BIRDS, POOL, EVEN, Request(**request), seed)  # type: ignore[arg-type]


def test_draws_are_disjoint_exact_and_reproducible() -> None:
    one = by_seed(1)
    assert len(np.intersect1d(one.labelled, one.unlabelled)) == 0
    assert np.bincount(POOL[one.labelled], minlength=4).tolist() == one.counts_l.tolist()
    assert np.bincount(POOL[one.unlabelled], minlength=4).tolist() == one.counts_u.tolist()
    assert np.array_equal(one.labelled, by_seed(1).labelled)
    assert not np.array_equal(one.labelled, by_seed(2).labelled)


def test_one_set_does_not_move_when_the_other_changes() -> None:
    assert np.array_equal(by_seed(1).labelled, by_seed(1, n_u=400, eta_u=0.5).labelled)
    assert np.array_equal(by_seed(1).unlabelled, by_seed(1, n_l=100, eta_l=0.5).unlabelled)


def test_smaller_sets_are_inside_larger_ones() -> None:
    assert np.isin(by_seed(1, n_l=100).labelled, by_seed(1).labelled).all()
    assert np.isin(by_seed(1, n_u=500).unlabelled, by_seed(1).unlabelled).all()


def test_rows_of_a_group_are_spread_over_all_draws() -> None:
    hits = np.zeros(len(POOL))
    for seed in range(60):
        hits[by_seed(seed).unlabelled] += 1
    majority = hits[POOL == 0]
    expected = 60 * 325 / 900
    # A permuted prefix is binomial for each row: 6 standard deviations hold for 900 rows.
    assert np.abs(majority - expected).max() < 6 * np.sqrt(expected * (1 - 325 / 900))


def test_infeasible_request_names_group_shortfall_and_largest_n() -> None:
    with pytest.raises(InputError) as caught:
        by_seed(0, n_u=2000, eta_u=0.05)
    message = str(caught.value)
    assert "bird-on-water" in message
    assert "193 too few" in message
    largest = int(message.rsplit("largest n_u: ", 1)[1])
    check_feasible(BIRDS, POOL, EVEN, Request(300, largest, 0.05, 0.05))
    with pytest.raises(InputError):
        check_feasible(BIRDS, POOL, EVEN, Request(300, largest + 1, 0.05, 0.05))


def test_infeasible_labelled_set_alone() -> None:
    with pytest.raises(InputError, match="largest n_l"):
        by_seed(0, n_l=5000)


def test_empty_group_in_the_pool() -> None:
    with pytest.raises(InputError, match="the pool has 0"):
        draw(BIRDS, POOL[POOL != 1], EVEN, Request(20, 20, 0.5, 0.0), 0)


def test_class_priors() -> None:
    codes = np.array([0, 0, 0, 2])
    assert class_priors(BIRDS, codes, "uniform").tolist() == [0.5, 0.5]
    assert class_priors(BIRDS, codes, "dataset").tolist() == [0.75, 0.25]


def test_all_images_are_a_remedy_where_they_would_do() -> None:
    """189 waterbirds on land in the official pool, 557 with all."""
    counts = np.array([[3498, 184, 56, 1057], [467, 466, 133, 133], [2255, 2255, 642, 642]])
    cells = [(s, g) for s in range(3) for g in range(4) for _ in range(counts[s, g])]
    split, codes = np.array(cells).T
    groups = Groups(("landbird", "waterbird"), ("land", "water"))
    files = tuple(map(str, range(len(codes))))
    dataset = ImageDataset("w", codes // 2, codes % 2, split, groups, root=Path(), files=files)
    own = Folder(
        *("w", "x", None, ondisk.Pool.official, 0, 0.33, ondisk.Shared.report),
        class_names=["p", "q"],
        attribute_names=["r", "s"],
        minority=[],
    )
    if_all = own.if_all(dataset)
    again = ondisk.resplit(dataset, 0.33, 0)
    assert if_all is not None
    assert if_all.tolist() == np.bincount(again.codes[again.split == TRAIN]).tolist()
    usable = np.ones(len(codes), dtype=bool)

    def refused(n_l: int, n_u: int, counts: np.ndarray | None, eta: float = 0.5) -> str:
        with pytest.raises(InputError) as caught:
            check_requests(dataset, usable, "uniform", [Request(n_l, n_u, eta, eta)], counts)
        return str(caught.value)

    assert refused(300, 1000, if_all).endswith("largest n_u: 458; or data.pool=all")
    check_requests(again, usable, "uniform", [Request(300, 1000, 0.5, 0.5)])
    assert refused(300, 2000, if_all).endswith("largest n_u: 458")  # 575 of one group, of 557
    assert refused(300, 1000, None).endswith("largest n_u: 458")
    check_requests(dataset, usable, "uniform", [Request(300, 400, 0.5, 0.5)], if_all)
    own.pool = ondisk.Pool.all
    assert own.if_all(again) is None


def test_each_group_is_permuted_by_its_own_stream() -> None:
    codes = np.random.default_rng(0).integers(0, 9, 4000)
    made = draw(THREE, codes, np.full(3, 1 / 3), Request(60, 120, 0.2, 0.5), 5)
    of_labelled = np.split(made.labelled, np.cumsum(made.counts_l)[:-1])
    of_unlabelled = np.split(made.unlabelled, np.cumsum(made.counts_u)[:-1])
    for g, name in enumerate(THREE.names):
        order = stream(5, f"draw/{name}").permutation(np.flatnonzero(codes == g))
        np.testing.assert_array_equal(of_labelled[g], order[: made.counts_l[g]])
        np.testing.assert_array_equal(of_unlabelled[g], order[::-1][: made.counts_u[g]])


def test_a_thousand_classes_are_drawn_in_memory_of_the_rows() -> None:
    names = tuple(map(str, range(1000)))
    minority = frozenset((y, 1) for y in range(1000))
    groups = Groups(names, ("p", "q"), minority)
    codes, even = np.tile(np.arange(2000), 100), np.full(1000, 1 / 1000)
    tracemalloc.start()
    made = draw(groups, codes, even, Request(10_000, 50_000, 0.2, 0.5), 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # classes x rows would be 400 MB
    assert np.bincount(codes[made.unlabelled] // 2).tolist() == [50] * 1000
    assert (codes[made.labelled] % 2).sum() == 2000


def test_quotients_on_both_sides_of_a_power_of_ten_are_compared() -> None:
    assert apportion(53, [5, 4, 5, 6, 8]).tolist() == [10, 8, 9, 11, 15]


def test_what_a_bound_takes_away_goes_to_the_first_with_room_left() -> None:
    # By shares 8, 2, 1 and 3; cut to 5, 2, 1 and 2, with room for 2 and 4 in the middle.
    caps = np.array([5, 4, 5, 2])
    found = apportion_capped(14, np.array([5.0, 1.0, 1.0, 2.0]), np.ones(4, int), caps, "it")
    assert found.tolist() == [5, 4, 3, 2]
