"""Bias and correlation of residuals against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_groups.results.scores.residuals import bias, error_correlation


def test_they_are_numpys() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 50))
    other += one
    weights = rng.integers(0, 4, 50)
    rows = np.repeat(np.arange(50), weights)
    assert bias(one, weights) == pytest.approx(one[rows].mean())
    theirs = np.corrcoef(one[rows], other[rows])[0, 1]
    assert error_correlation(one, other, weights) == pytest.approx(theirs)
    assert error_correlation(one, 2 * one + 1) == pytest.approx(1.0)


def test_without_rows_or_scatter_there_is_none() -> None:
    none = np.empty(0)
    assert np.isnan([bias(none), error_correlation(none, none)]).all()
    assert np.isnan(error_correlation(np.ones(3), np.arange(3.0)))
