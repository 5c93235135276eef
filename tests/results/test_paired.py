"""Exact p and the seeds that a difference needs, against SciPy, enumeration and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as reference

from w2s_groups.results.paired import MOST, seeds_needed, sign_flip_p


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_p_counts_all_sign_flips(seeds: int) -> None:
    values = np.random.default_rng(seeds).integers(-3, 5, (4, seeds)) / 250
    for value, p in zip(values, sign_flip_p(values), strict=True):
        flips = np.array(list(itertools.product([-1, 1], repeat=seeds)))
        far = np.abs(np.round(flips @ value, 9)) >= abs(round(value.sum(), 9))
        assert p == pytest.approx(far.mean())


def test_the_least_p_is_two_of_all_flips_and_no_difference_has_one() -> None:
    for seeds in (3, 6, 10):
        values = np.stack([np.full(seeds, 0.1), np.zeros(seeds)])
        np.testing.assert_allclose(sign_flip_p(values), [2.0 ** (1 - seeds), 1.0])
    assert sign_flip_p([0.3]) == 1.0


def test_a_missing_seed_has_no_p() -> None:
    found = sign_flip_p([[0.1, np.nan, 0.2], [0.1, 0.1, 0.2]])
    np.testing.assert_array_equal(found, [np.nan, 0.25])
    assert np.isnan(sign_flip_p(np.empty((2, 0)))).all()


def test_many_seeds_draw_their_flips_and_give_the_same_p_again() -> None:
    values = np.random.default_rng(1).normal(0.2, 1.0, (1, 20))
    found = sign_flip_p(values)
    assert found == sign_flip_p(values)
    assert found[0] == pytest.approx(reference.ttest_1samp(values[0], 0.0).pvalue, abs=0.03)


@pytest.mark.parametrize("effect", [0.3, 0.6, 1.0, 2.0])
def test_so_many_seeds_see_the_difference_in_four_of_five_studies(effect: float) -> None:
    sample = np.array([-1.0, 0.0, 1.0]) + effect  # standard deviation 1
    n = seeds_needed(sample)
    assert n is not None
    studies, generator = 20_000, np.random.default_rng(2)
    error = 4 * np.sqrt(0.8 * 0.2 / studies)

    def power(n: int) -> float:
        values = generator.normal(effect, 1.0, (studies, n))
        return float((reference.ttest_1samp(values, 0.0, axis=1).pvalue <= 0.05).mean())

    assert power(n) >= 0.8 - error
    assert power(n - 1) < 0.8 + error


def test_a_textbook_sample_size() -> None:
    # Cohen 1988: effect 0.5, two-sided 5 %, 80 %: 34 pairs.
    assert seeds_needed(np.array([-1.0, 0.0, 1.0]) + 0.5) == 34


def test_a_larger_difference_needs_no_more_seeds() -> None:
    # SciPy's noncentral t is NaN at effects between 5 and 20, at others in each version.
    needed = [seeds_needed(np.array([-1.0, 0.0, 1.0]) + e) for e in np.linspace(0.5, 25, 400)]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] == 3


def test_differences_too_small_and_too_large_and_seeds_too_few() -> None:
    assert seeds_needed([0.1, -0.1, 0.001]) == MOST + 1
    assert seeds_needed([0.0, 0.0, 0.0]) == MOST + 1
    assert seeds_needed([0.1, 0.1, 0.1]) == seeds_needed([0.1, 0.1 + 1e-9, 0.1]) == 3
    assert seeds_needed([0.004, 0.004, 0.004], step=0.004) == 4  # an effect of the root of 6
    assert seeds_needed([0.1, 0.2]) is None
    assert seeds_needed([0.1, 0.2, np.nan]) is None
