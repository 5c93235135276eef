"""BCa against SciPy's own call on one row, and samples that have no distribution."""

from __future__ import annotations

import numpy as np
from scipy import stats as reference

from w2s_groups.results.bootstrap import bca_interval
from w2s_groups.results.stats import Floats
from w2s_groups.seeds import stream


def test_a_row_is_scipys_bootstrap_of_it_whatever_stands_beside_it() -> None:
    def rounded(sample: Floats) -> float:
        return round(float(np.sum(sample)) / 10, 12)

    rows = np.random.default_rng(3).gamma(2.0, size=(5, 10))
    found = bca_interval(rows, seed=7)
    for k, row in enumerate(rows):
        alone = bca_interval(row, seed=7)
        expected = reference.bootstrap(
            (row,), rounded, method="BCa", random_state=stream(7, "results/bootstrap/10")
        ).confidence_interval
        np.testing.assert_allclose([found.low[k], found.high[k]], [alone.low, alone.high])
        np.testing.assert_allclose([found.low[k], found.high[k]], expected, rtol=1e-9)
    np.testing.assert_allclose(found.mean, rows.mean(axis=1))


def test_few_or_equal_values_have_no_interval_or_the_point() -> None:
    nan = np.nan
    rows = np.array(
        [
            [0.1, 0.2, nan, nan],
            [0.7, 0.7, 0.7, 0.7],
            [nan, 0.1, 0.2, 0.4],
            [nan, nan, nan, nan],
            [0.3, nan, nan, nan],
        ]
    )
    found = bca_interval(rows)
    assert found.n.tolist() == [2, 4, 3, 0, 1]
    np.testing.assert_array_equal(np.isnan(found.low), [True, False, False, True, True])
    np.testing.assert_array_equal(np.isnan(found.high), np.isnan(found.low))
    assert (found.low[1], found.high[1]) == (0.7, 0.7)
    # a missing seed changes the sample and nothing else
    assert found.low[2] == bca_interval([0.1, 0.2, 0.4]).low
    np.testing.assert_allclose(found.mean, [0.15, 0.7, 0.7 / 3, nan, 0.3])
    assert bca_interval(np.empty((2, 0))).n.tolist() == [0, 0]


def test_the_last_bit_of_a_value_does_not_move_a_bound() -> None:
    row = np.array([0.812, 0.796, 0.804, 0.812, 0.78, 0.796, 0.82, 0.804])
    one = bca_interval(row)
    moved = bca_interval(row + np.spacing(row) * np.array([1, -1, 1, 1, -1, 1, -1, 1]))
    np.testing.assert_allclose([one.low, one.high], [moved.low, moved.high], atol=1e-12)
