"""Expected calibration error: a table by hand, the definition as a loop, the limits."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_groups.results.scores.calibration import BINS, bins, calibration_error


def test_a_table_by_hand() -> None:
    """Bins (8/15, 9/15] with 2 of 4 right at 0.55 and 0.59, (14/15, 1] with 1 of 2 at 0.95."""
    confidence = np.array([0.55, 0.55, 0.59, 0.59, 0.95, 0.95])
    right = np.array([True, True, False, False, True, False])
    proba = np.stack([confidence, 1 - confidence], axis=1)
    y = np.where(right, 0, 1)
    expected = 4 / 6 * abs(0.57 - 0.5) + 2 / 6 * abs(0.95 - 0.5)
    assert calibration_error(proba, y) == pytest.approx(expected)
    of = bins(proba, y, np.ones(6))
    assert of.weight[8] == 4
    assert of.right[14] == 1
    assert of.weight.sum() == 6


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_definition_bin_by_bin(n_classes: int) -> None:
    """Guo et al. 2017, eq. 2 and 3: bins ((m - 1) / M, m / M]."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(n_classes), 400)
    proba[:3] = np.eye(n_classes)[0]  # on the last edge
    y, weights = rng.integers(0, n_classes, 400), rng.exponential(size=400)
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    total = 0.0
    for m in range(1, BINS + 1):
        here = (confidence > (m - 1) / BINS) & (confidence <= m / BINS)
        if here.any():
            means = (np.average(part[here], weights=weights[here]) for part in (right, confidence))
            accuracy, mean = means
            total += weights[here].sum() / weights.sum() * abs(accuracy - mean)
    assert calibration_error(proba, y, weights) == pytest.approx(total)


def test_limits() -> None:
    certain, y = np.eye(2)[[0, 1, 1, 0]], np.array([0, 1, 1, 0])
    assert calibration_error(certain, y) == 0.0
    assert calibration_error(certain, 1 - y) == 1.0
    assert np.isnan(calibration_error(certain[:0], y[:0]))


def test_calibrated_outputs_come_near_zero_as_rows_grow() -> None:
    """The plug-in estimate is biased upwards by about sqrt(bins / n)."""
    rng = np.random.default_rng(1)
    for n in (2_000, 200_000):
        p = rng.random(n)
        y = (rng.random(n) < p).astype(np.int64)
        error = calibration_error(np.stack([1 - p, p], axis=1), y)
        assert 0 < error < 0.5 * np.sqrt(BINS / n)
