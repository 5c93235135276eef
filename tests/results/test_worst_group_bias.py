"""The bias of the lowest accuracy against enumeration, closed forms and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats as reference

from w2s_groups.results.worst_group_bias import worst_group_bias


def _enumerated(p: list[float], n: list[int]) -> float:
    """Sum over every outcome of every group."""
    total = 0.0
    for counts in product(*(range(size + 1) for size in n)):
        chance = np.prod(reference.binom.pmf(counts, n, p))
        total += float(chance) * min(k / size for k, size in zip(counts, n, strict=True))
    return total - min(p)


@pytest.mark.parametrize(
    ("p", "n"),
    [([0.5, 0.5], [1, 1]), ([0.3, 0.9, 0.6], [4, 7, 3]), ([0.8, 0.75, 0.8], [10, 6, 15])],
)
def test_it_is_the_sum_over_all_outcomes(p: list[float], n: list[int]) -> None:
    assert worst_group_bias(p, n) == pytest.approx(_enumerated(p, n), abs=1e-12)


def test_closed_forms() -> None:
    # two fair coins: the lower is 1 with probability 1/4
    assert worst_group_bias([0.5, 0.5], [1, 1]) == pytest.approx(0.25 - 0.5)
    assert worst_group_bias([0.7], [30]) == pytest.approx(0.0, abs=1e-12)  # one group is unbiased
    np.testing.assert_allclose(worst_group_bias([[1.0, 1.0], [0.0, 1.0]], [3, 5]), 0.0, atol=1e-15)


def test_absent_groups_play_no_part_and_order_does_not_matter() -> None:
    whole = worst_group_bias([0.7, 0.8], [20, 30])
    assert worst_group_bias([0.7, np.nan, 0.8], [20, 50, 30]) == pytest.approx(whole, abs=1e-15)
    assert worst_group_bias([0.8, 0.4, 0.7], [30, 0, 20]) == pytest.approx(whole, abs=1e-15)
    assert np.isnan(worst_group_bias([np.nan, np.nan], [0, 0]))
    assert worst_group_bias(np.full((2, 3, 4), 0.5), np.full(4, 9)).shape == (2, 3)


def test_large_groups_cost_no_accuracy() -> None:
    """A rare group of 180 beside thousands, as in CelebA's validation set."""
    p, n = np.array([0.95, 0.97, 0.9, 0.55]), np.array([8535, 8276, 2874, 180])
    # the other groups never come near: the lowest is the small group itself
    assert worst_group_bias(p, n) == pytest.approx(0.0, abs=1e-12)
    k = np.arange(n[3] + 1)
    near, mass = 0.6, reference.binom.pmf(k, n[3], 0.6)
    other = np.arange(8001)
    lowest = np.minimum(k[:, None] / n[3], other / 8000)
    expected = mass @ lowest @ reference.binom.pmf(other, 8000, near) - 0.6
    assert worst_group_bias([near, near], [180, 8000]) == pytest.approx(expected, abs=1e-12)


def test_it_is_what_a_simulation_finds() -> None:
    p, n, runs = np.array([0.78, 0.8, 0.83, 0.76]), np.array([250, 133, 642, 40]), 200_000
    lowest = (np.random.default_rng(11).binomial(n, p, (runs, 4)) / n).min(axis=-1)
    error = lowest.std() / np.sqrt(runs)
    assert worst_group_bias(p, n) == pytest.approx(lowest.mean() - p.min(), abs=4 * error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p", "low", "high"),
    [
        ((0.8, 0.8, 0.8, 0.8), 0.38, 0.48),  # equal groups: less than half is seen
        ((0.9, 0.9, 0.76, 0.75), 0.50, 0.65),
        ((0.9, 0.85, 0.8, 0.75), 1.5, 3.0),  # clearly apart: too much, of next to nothing
    ],
)
def test_the_plug_in_is_no_unbiased_estimate(p: tuple[float, ...], low: float, high: float) -> None:
    """Its mean over measured accuracies, as a share of the true bias."""
    measured = np.random.default_rng(12).binomial(250, p, (4000, 4)) / 250
    found, true = worst_group_bias(measured, 250), float(worst_group_bias(p, 250))
    assert low < found.mean() / true < high
    assert found.std() / np.sqrt(4000) / abs(true) < 0.05  # the shares are known this well
