"""d90 of curves whose answer is known, and of a linear model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from w2s_groups.core.errors import InputError
from w2s_groups.finetuning.d90 import ACCURACY, AGREEMENT, by_group, d90
from w2s_groups.kernel.buckets import Buckets

D = np.array([9, 99, 999])


def test_it_is_where_the_curve_reaches_nine_tenths_over_chance() -> None:
    """Between 9 and 99, log(1 + d) is 1 to 2 in base 10: a third of the way is 10^(4/3) − 1."""
    full = np.full(5, 0.9)  # threshold 0.5 + 0.9 * 0.4 = 0.86
    curve = np.repeat([[0.83], [0.92], [0.93]], 5, axis=1)
    found = d90(D, curve, full, 0.5)
    assert found.value == pytest.approx(10 ** (4 / 3) - 1)
    assert found.low == found.high == pytest.approx(found.value)  # no seed differs
    assert found.text == "21 [21, 21]"


def test_a_dip_is_smoothed_and_ends_are_bounds() -> None:
    full = np.array([0.9, 0.9, 0.9])
    dip = np.repeat([[0.80], [0.88], [0.82]], 3, axis=1)  # 0.88 and 0.82 are 0.85 together
    assert d90(D, dip, full, 0.5).value == np.inf
    assert d90(D, dip, full, 0.5).text == "> 999 [> 999, > 999]"
    assert d90(D, dip + 0.1, full, 0.5).text == "≤ 9 [≤ 9, ≤ 9]"
    assert d90([0, *D], np.vstack([full[None] * 0, dip + 0.1]), full, 0.5).value < 9


def test_the_interval_is_of_paired_seeds_and_holds_the_value() -> None:
    """What moves full tuning and every d together does not widen it."""
    rng = np.random.default_rng(0)
    shift, noise = rng.normal(0, 0.03, 8), rng.normal(0, 0.01, (3, 8))
    curve = np.array([[0.80], [0.86], [0.92]]) + noise
    paired = d90(D, curve + 0.9 * shift, 0.9 + shift, 0.5)
    still = d90(D, curve, np.full(8, 0.9), 0.5)
    assert still.low < still.value < still.high
    assert paired.low == pytest.approx(still.low)
    assert paired.high == pytest.approx(still.high)
    assert d90(D, curve[:, :1], [0.9], 0.5).text == f"{d90(D, curve[:, :1], [0.9], 0.5).value:.0f}"


def test_a_group_below_chance_is_judged_by_agreement() -> None:
    rng = np.random.default_rng(1)
    full = np.stack([0.9 + 0 * np.arange(4), 0.35 + 0.01 * np.arange(4)], axis=1)
    accuracy = np.stack([np.linspace(0.6, 0.9, 3)[:, None] + np.zeros((3, 4)),
                         np.full((3, 4), 0.4)], axis=-1)  # fmt: skip
    agreement = np.repeat(np.array([0.7, 0.94, 0.99])[:, None, None], 4, axis=1) * np.ones(2)
    agreement += rng.normal(0, 1e-3, agreement.shape)
    majority, minority = by_group(D, accuracy, full, agreement, 0.5)
    assert majority.by == ACCURACY
    assert minority.by == AGREEMENT
    assert 99 < minority.value < 999  # 0.95 is between 0.94 and 0.99
    assert "below chance; agreement with full tuning" in minority.text
    assert d90(D, accuracy[..., 1], full[:, 1], 0.5).text == "below chance"


def test_a_linear_model_on_data_of_rank_r_needs_at_most_r() -> None:
    """Least squares within random subspaces of 60 weights, on data of rank 6."""
    rank, weights, seeds = 6, 60, 5
    d = [1, 2, 4, rank, 12]
    accuracy, full = np.empty((len(d), seeds)), np.empty(seeds)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(400, rank)) @ rng.normal(size=(rank, weights))
        y = np.sign(X @ rng.normal(size=weights))

        def right(seen: np.ndarray, y: np.ndarray = y) -> float:
            fitted = np.linalg.lstsq(seen[:200], y[:200], rcond=None)[0]
            return float(np.mean(np.sign(seen[200:] @ fitted) == y[200:]))

        full[seed] = right(X)
        for k, size in enumerate(d):
            P = Buckets(weights, size, seed, unit=True).up(torch.eye(size)).T.numpy()
            accuracy[k, seed] = right(X @ P)
    np.testing.assert_allclose(accuracy[d.index(rank)], full)
    found = d90(d, accuracy, full, 0.5)
    assert 1 < found.value <= rank


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="rising"):
        d90([10, 5], np.ones((2, 3)), np.ones(3), 0.5)
    with pytest.raises(InputError, match="give every seed"):
        d90(D, np.ones((3, 2)), np.ones(3), 0.5)
