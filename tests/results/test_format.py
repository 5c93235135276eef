"""Numbers as they are printed: no sign is lost, no accuracy leaves [0, 1]."""

from __future__ import annotations

import numpy as np
import pytest

from w2s_groups.results.format import bounds, bracket, plus_minus
from w2s_groups.results.stats import Interval, accuracy_interval


def interval(mean: float, low: float, high: float) -> Interval:
    return Interval(np.asarray(mean), np.asarray(low), np.asarray(high), np.asarray(5))


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (-0.012, -0.0002, "[-0.012, -0.000]"),
        (-0.012, 0.0002, "[-0.012, +0.000]"),
        (-0.012, 0.0, "[-0.012, +0.000]"),
        (-0.012, -1e-15, "[-0.012, +0.000]"),  # a sum in another order
        (-0.0005, 0.01, "[-0.001, +0.010]"),
    ],
)
def test_a_bound_keeps_its_sign(low: float, high: float, shown: str) -> None:
    assert bounds(interval(0.0, low, high)) == shown


def test_an_accuracy_has_half_a_width_unless_its_interval_is_cut_off() -> None:
    assert plus_minus(accuracy_interval([0.8, 0.8, 0.8])) == "0.800 ± 0.000"
    assert plus_minus(interval(0.8, 0.78, 0.82)) == "0.800 ± 0.020"
    assert plus_minus(accuracy_interval([1.0, 0.99, 1.0])) == "0.997 [0.982, 1.000]"
    assert plus_minus(accuracy_interval([0.9])) == "0.900"
    assert bracket(interval(0.1, np.nan, np.nan)) == "+0.100"
