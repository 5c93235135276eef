"""The mean slope of a row's loss: closed forms, and roots and integrals by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm
from worlds import identity

from w2s_groups.prediction.moreau_envelope import logistic, moreau_envelope, proximal_slope

# δ, standard deviation and share of a row, from mild to heads that follow single images.
ROWS = [(0.3, 0.5, 0.0), (2.0, 1.5, 0.3), (40.0, 2.0, 0.5), (700.0, 3.0, 0.9), (5.0, 0.0, 1.0)]


def test_squared_loss_is_linear() -> None:
    delta, sd, p = (torch.tensor(part, dtype=torch.float64) for part in zip(*ROWS, strict=True))
    known = torch.linspace(-3, 4, 9).double().expand(len(ROWS), -1)
    value, slope = moreau_envelope(known, delta, sd, p, identity).at(known)
    want = 1 / (1 + (1 - p) * delta)[:, None]
    np.testing.assert_allclose(value, want * known, atol=1e-12)
    np.testing.assert_allclose(slope, want.expand_as(slope), atol=1e-12)


def test_a_drawn_row_is_at_its_proximal_point() -> None:
    target = torch.tensor([0.0, 1.0, 0.3, 0.9])[:, None].double()
    without = torch.linspace(-30, 30, 13).double()
    for delta in (0.1, 5.0, 1e3):
        slope = proximal_slope(without, target, torch.tensor(delta).double(), logistic)
        z = without - delta * slope
        np.testing.assert_allclose(slope, torch.sigmoid(z) - target, atol=1e-9)


@pytest.mark.parametrize(("delta", "sd", "p"), ROWS)
def test_logistic_slope(delta: float, sd: float, p: float) -> None:
    """Source: equations 14-15, solved one number at a time."""

    def drawn(v: float) -> float:
        root: float = brentq(lambda z: z + delta * expit(z) - v, v - delta - 1, v + 1, xtol=1e-12)
        return float(expit(root))

    def mean(v: float) -> float:
        if sd == 0:
            return drawn(v)
        return float(quad(lambda e: drawn(v + sd * e) * norm.pdf(e), -8, 8, epsabs=1e-7)[0])

    tensors = (torch.tensor([part], dtype=torch.float64) for part in (delta, sd, p))
    known = torch.tensor([[-1.0, 3.0]]).double()
    envelope = moreau_envelope(known, *tensors, logistic)
    value, _ = envelope.at(known)
    for k, got in zip(known[0].tolist(), value[0].tolist(), strict=True):

        def gap(v: float, k: float = k) -> float:
            return v - p * delta * mean(v) - k

        v = brentq(gap, k - 1, k + p * delta + 1, xtol=1e-7)
        # Seven nodes; a logistic curve as steep as the normal law is wide is the hardest for them.
        assert got == pytest.approx(mean(v), abs=2e-3)
    step = 1e-5
    up, down = (envelope.at(known + sign * step)[0] for sign in (1, -1))
    np.testing.assert_allclose((up - down) / (2 * step), envelope.at(known)[1], rtol=1e-5)


def test_the_variance_is_that_over_draws() -> None:
    sd = torch.tensor([0.8]).double()
    delta, p = torch.tensor([3.0]).double(), torch.zeros(1).double()
    envelope = moreau_envelope(torch.tensor([[0.5]]).double(), delta, sd, p, logistic)
    # Without a share in the draws, the score undrawn is the score.
    draws = 0.5 + sd * torch.randn(200_000, generator=torch.Generator().manual_seed(0)).double()
    slopes = proximal_slope(draws, torch.zeros(1).double(), delta, logistic)
    # k = score + δ t with t = 0; four standard errors of a variance.
    assert float(envelope.variance) == pytest.approx(
        float(slopes.var()), rel=4 * np.sqrt(2 / 200_000)
    )
