"""The corrected resampled t: its factor in models where the true one is known, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from w2s_groups.core.errors import InputError
from w2s_groups.results import stats
from w2s_groups.results.resampled import corrected_interval, corrected_p

VALUES = np.random.default_rng(0).normal(0.02, 0.05, (5, 10))


def test_it_is_the_formula_of_nadeau_and_bengio() -> None:
    found, p = corrected_interval(VALUES, 1 / 3), corrected_p(VALUES, 1 / 3)
    for k, value in enumerate(VALUES):
        error = np.sqrt(value.var(ddof=1) * (1 / 10 + (1 / 3) / (2 / 3)))
        t = reference.t(9)
        assert found.mean[k] == pytest.approx(value.mean())
        assert found.high[k] - found.mean[k] == pytest.approx(t.ppf(0.975) * error)
        assert found.mean[k] - found.low[k] == pytest.approx(t.ppf(0.975) * error)
        assert p[k] == pytest.approx(2 * t.sf(abs(value.mean()) / error))


def test_without_test_samples_it_is_the_plain_t_interval() -> None:
    plain, found = stats.mean_interval(VALUES), corrected_interval(VALUES, 1e-15)
    for part, other in zip(plain, found, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-12)
    np.testing.assert_allclose(corrected_p(VALUES, 1e-15), stats.paired_p(VALUES), rtol=1e-9)


def test_missing_splits_lower_n_and_few_decide_nothing() -> None:
    gap = VALUES.copy()
    gap[0, :4] = np.nan
    one = corrected_interval(gap[0], 0.2)
    for part, other in zip(one, corrected_interval(VALUES[0, 4:], 0.2), strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-12)
    assert np.isnan(corrected_interval([0.3], 0.2).low)
    assert corrected_p([[0.1, 0.1000001], [0.0, 0.0]], 0.2).tolist() == [1.0, 1.0]
    assert corrected_p(np.zeros(5), 0.2) == 1.0
    assert corrected_p(np.full(5, 0.1), 0.2) == 0.0


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_a_share_is_inside_0_and_1(share: float) -> None:
    with pytest.raises(InputError, match=r"test_share=.* must lie in \(0, 1\)"):
        corrected_interval(VALUES, share)


def test_the_factor_is_right_where_only_tested_samples_vary() -> None:
    """Means of n_test of n samples, drawn again and again: correlation n_test / n between splits.

    It is what Nadeau and Bengio suppose, so the variance of the mean is s^2 (1 / J + n_test /
    n_train) on average, and 95 % of intervals hold the truth.
    """
    generator, tables, n, test, splits = np.random.default_rng(1), 4000, 30, 10, 10
    samples = generator.normal(size=(tables, n))
    chosen = generator.permuted(np.tile(np.arange(n), (tables, splits, 1)), axis=-1)[..., :test]
    values = np.take_along_axis(samples[:, None], chosen, axis=-1).mean(axis=-1)
    ratio = values.mean(axis=-1).var() / values.var(axis=-1, ddof=1).mean()
    assert ratio == pytest.approx(1 / splits + test / (n - test), rel=0.1)
    found, plain = corrected_interval(values, test / n), stats.mean_interval(values)
    assert found.holds(0.0).mean() == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / tables))
    assert plain.holds(0.0).mean() < 0.75
