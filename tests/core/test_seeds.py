"""Named streams: reproducible, independent of each other, no global state."""

import numpy as np

from w2s_groups.core.seeds import stream


def test_same_seed_and_name_give_the_same_numbers() -> None:
    assert np.array_equal(stream(3, "draw").random(5), stream(3, "draw").random(5))


def test_another_name_or_seed_gives_other_numbers() -> None:
    first = stream(3, "draw").random(5)
    assert not np.array_equal(first, stream(3, "split").random(5))
    assert not np.array_equal(first, stream(4, "draw").random(5))


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    stream(0, "draw").random(5)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_first_numbers_are_fixed_for_good() -> None:
    # A change here would silently move every draw that anybody has published.
    assert stream(0, "draw").integers(0, 1000, 4).tolist() == [847, 626, 511, 260]
