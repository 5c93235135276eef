from __future__ import annotations

import numpy as np
import pytest

from w2s_groups.errors import InputError
from w2s_groups.heads.select import lowest_entropy


def test_binary_selection_is_by_distance_from_one_half() -> None:
    p = np.array([0.5, 0.9, 0.02, 0.6, 0.3])
    chosen = lowest_entropy(np.column_stack([1 - p, p]), 0.4)
    np.testing.assert_array_equal(chosen, np.sort(np.argsort(-np.abs(p - 0.5))[:2]))


def test_certain_rows_come_first_and_ties_keep_the_earlier_row() -> None:
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.2, 0.8], [0.8, 0.2]])
    np.testing.assert_array_equal(lowest_entropy(p, 0.5), [1, 2])
    np.testing.assert_array_equal(lowest_entropy(np.full((6, 3), 1 / 3), 0.5), [0, 1, 2])


@pytest.mark.parametrize(("keep", "count"), [(0.07, 7), (1.0, 100), (1e-3, 1), (0.071, 8)])
def test_number_kept(keep: float, count: int) -> None:
    assert len(lowest_entropy(np.full((100, 2), 0.5), keep)) == count


def test_bad_keep_is_named() -> None:
    with pytest.raises(InputError, match="keep=0"):
        lowest_entropy(np.full((3, 2), 0.5), 0)
