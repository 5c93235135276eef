"""The mean slope of a row's loss over draws, as a function of the row's mean score.

Losses l(z, t) = A(z) − t z, of which a link gives A′ and A″. Equations: docs/prediction.md.
Shapes: N rows, S samples, J knots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NODES = 7  # of Gauss and Hermite, for the normal law of a score
KNOTS = 17  # of a row's interpolated function; 3 where targets are the same for all samples
JOINT_STEPS = 4  # Newton's

Link = Callable[[Tensor], tuple[Tensor, Tensor]]


def logistic(z: Tensor) -> tuple[Tensor, Tensor]:
    """A′ and A″ of cross-entropy for two classes: the second's probability, and its slope."""
    p = torch.sigmoid(z)
    return p, p * (1 - p)


def proximal_slope(without: Tensor, target: Tensor, delta: Tensor, link: Link) -> Tensor:
    """l′ of a drawn row, at z with z + δ l′(z, t) = its score `without` it. Eq. 14."""
    return link(_proximal_point(without + delta * target, delta, link))[0] - target


def _proximal_point(v: Tensor, delta: Tensor, link: Link) -> Tensor:
    """Root z of z + δ A′(z) = v."""
    # From 0, the sigmoid's inflection, Newton's steps close in from one side: no overshoot. Until
    # δ A′(z) is of the size of z they are of length 1, log δ of them.
    z = torch.zeros_like(v)
    for _ in range(6 + int(delta.max().log1p())):
        mean, slope = link(z)
        z = z - (z + delta * mean - v) / (1 + delta * slope)
    return z


@dataclass(frozen=True, eq=False)
class MoreauEnvelope:
    """Slope E A′(z) of each row's smoothed Moreau envelope at k = mean score + (1 − p) δ t.

    Cubic between knots. first, width: (N, 1) lowest knot, and distance of knots. slope, curvature:
    (N, J) values and derivatives at the knots. variance: (N,) of A′(z) over draws that have the
    row, at the middle knot.
    """

    first: Tensor
    width: Tensor
    slope: Tensor
    curvature: Tensor
    variance: Tensor

    def at(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """Slope and curvature (N, S) at k (N, S); straight lines beyond the outer knots."""
        last = self.slope.shape[1] - 1
        place = (k - self.first) / self.width
        inside = place.clamp(0, last)
        left = inside.long().clamp(max=last - 1)
        x = inside - left
        f0, f1 = self.slope.gather(1, left), self.slope.gather(1, left + 1)
        d0, d1 = (self.curvature.gather(1, at) * self.width for at in (left, left + 1))
        c2, c3 = 3 * (f1 - f0) - 2 * d0 - d1, 2 * (f0 - f1) + d0 + d1
        rise = d0 + x * (2 * c2 + 3 * x * c3)
        value = f0 + x * (d0 + x * (c2 + x * c3)) + rise * (place - inside)
        return value, rise / self.width


def moreau_envelope(k: Tensor, delta: Tensor, sd: Tensor, p: Tensor, link: Link) -> MoreauEnvelope:
    """Envelope around the values k (N, S).

    delta, sd, p: (N,) δ_i, by which a drawn row's slope lowers its own score, in units of the
    slope; standard deviation s_i over draws of the score without the row; share of draws that have
    the row. Source: equations 14-15.
    """
    middle = k.mean(1, keepdim=True)
    half = 1 + 1.25 * (k - middle).abs().amax(1, keepdim=True)
    n_knots = KNOTS if k.shape[1] > 1 else 3
    steps = torch.linspace(-1, 1, n_knots, dtype=k.dtype, device=k.device)
    nodes, weights = (
        torch.as_tensor(part).to(k) for part in np.polynomial.hermite_e.hermegauss(NODES)
    )
    weights = weights / weights.sum()
    knots, p_delta = middle + half * steps, p[:, None] * delta[:, None]
    z = _scores_at_knots(knots, delta, sd[:, None, None] * nodes, p, weights, link)
    mean, curvature = link(z)
    inner = (curvature / (1 + delta[:, None, None] * curvature)) @ weights
    average = mean @ weights
    variance = ((mean - average[..., None]) ** 2) @ weights
    outer = inner / (1 - p_delta * inner)
    width = 2 * half / (n_knots - 1)
    return MoreauEnvelope(knots[:, :1], width, average, outer, variance[:, n_knots // 2])


def _scores_at_knots(
    knots: Tensor, delta: Tensor, offset: Tensor, p: Tensor, weights: Tensor, link: Link
) -> Tensor:
    """(N, J, NODES) scores z of drawn rows: z + δ A′(z) = v + offset, v − p δ E A′(z) = knot."""
    d, p = delta[:, None], p[:, None]
    # Without variance the root is known: z of a loss with (1 − p) δ. Then v and all nodes together.
    start = _proximal_point(knots, (1 - p) * d, link)
    v = start + d * link(start)[0]
    each = d[..., None]
    z = _proximal_point(v[..., None] + offset, each, link)
    for _ in range(JOINT_STEPS):
        mean, curvature = link(z)
        share = curvature / (1 + each * curvature)
        left = z + each * mean - v[..., None] - offset
        gap = v - p * d * (mean @ weights) - knots
        gap = gap + p * d * ((share * left) @ weights)
        change = -gap / (1 - p * d * (share @ weights))
        z = z + (change[..., None] - left) / (1 + each * curvature)
        v = v + change
    return z
