"""What a row pulls at a head, averaged over draws, as a function of the row's mean score.

Losses l(z, t) = A(z) − t z, of which a link gives A' and A''. Equations: docs/prediction.md.
Shapes: N rows, S samples, J knots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NODES = 7  # of Gauss and Hermite, for the spread of a score
KNOTS = 17  # of a row's interpolated function; 3 where targets are the same for all samples
JOINT_STEPS = 4  # Newton's

Link = Callable[[Tensor], tuple[Tensor, Tensor]]


def logistic(z: Tensor) -> tuple[Tensor, Tensor]:
    """A' and A'' of cross-entropy for two classes: the second's probability, and its slope."""
    p = torch.sigmoid(z)
    return p, p * (1 - p)


def drawn_slope(without: Tensor, target: Tensor, delta: Tensor, link: Link) -> Tensor:
    """l' of a drawn row: at z with z + δ l'(z, t) = its score `without` it. Eq. 14."""
    return link(_drawn(without + delta * target, delta, link))[0] - target


def _drawn(v: Tensor, delta: Tensor, link: Link) -> Tensor:
    """Root z of z + δ A'(z) = v."""
    # From 0, the sigmoid's inflection, Newton's steps close in from one side: no overshoot. Until
    # δ A'(z) is of the size of z they are of length 1, log δ of them.
    z = torch.zeros_like(v)
    for _ in range(6 + int(delta.max().log1p())):
        mean, slope = link(z)
        z = z - (z + delta * mean - v) / (1 + delta * slope)
    return z


@dataclass(frozen=True, eq=False)
class Envelope:
    """E A'(z) of each row as a function of k = mean score + (1 − p) δ t, by cubic pieces.

    first, width (N, 1): lowest knot, and between knots. mean, slope (N, J): values and derivatives
    at the knots. scatter (N,): variance of A'(z) over draws that have the row, at the middle knot.
    """

    first: Tensor
    width: Tensor
    mean: Tensor
    slope: Tensor
    scatter: Tensor

    def at(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """Value and derivative (N, S) at k (N, S); straight lines beyond the outer knots."""
        last = self.mean.shape[1] - 1
        place = (k - self.first) / self.width
        inside = place.clamp(0, last)
        left = inside.long().clamp(max=last - 1)
        x = inside - left
        f0, f1 = self.mean.gather(1, left), self.mean.gather(1, left + 1)
        d0, d1 = (self.slope.gather(1, at) * self.width for at in (left, left + 1))
        c2, c3 = 3 * (f1 - f0) - 2 * d0 - d1, 2 * (f0 - f1) + d0 + d1
        rise = d0 + x * (2 * c2 + 3 * x * c3)
        value = f0 + x * (d0 + x * (c2 + x * c3)) + rise * (place - inside)
        return value, rise / self.width


def envelope(known: Tensor, delta: Tensor, sd: Tensor, p: Tensor, link: Link) -> Envelope:
    """Envelope around the values `known` (N, S) of k.

    delta, sd, p (N,): what a drawn row's slope takes off its own score, in units of it; standard
    deviation over draws of the score without the row; share of draws that have the row. Eq. 14-15.
    """
    middle = known.mean(1, keepdim=True)
    half = 1 + 1.25 * (known - middle).abs().amax(1, keepdim=True)
    knots = KNOTS if known.shape[1] > 1 else 3
    steps = torch.linspace(-1, 1, knots, dtype=known.dtype, device=known.device)
    k, d, p = middle + half * steps, delta[:, None], p[:, None]
    nodes, weights = (
        torch.as_tensor(part).to(known) for part in np.polynomial.hermite_e.hermegauss(NODES)
    )
    weights = weights / weights.sum()
    # Without spread the root is known: z of a loss with (1 − p) δ. Then v and all nodes together.
    start = _drawn(k, (1 - p) * d, link)
    v = start + d * link(start)[0]
    d, offset = d[..., None], sd[:, None, None] * nodes
    z = _drawn(v[..., None] + offset, d, link)
    for _ in range(JOINT_STEPS):
        mean, bend = link(z)
        share = bend / (1 + d * bend)
        left = z + d * mean - v[..., None] - offset
        gap = v - p * delta[:, None] * (mean @ weights) - k
        gap = gap + p * delta[:, None] * ((share * left) @ weights)
        change = -gap / (1 - p * delta[:, None] * (share @ weights))
        z = z + (change[..., None] - left) / (1 + d * bend)
        v = v + change
    mean, bend = link(z)
    inner = (bend / (1 + d * bend)) @ weights
    average = mean @ weights
    scatter = ((mean - average[..., None]) ** 2) @ weights
    slope = inner / (1 - p * delta[:, None] * inner)
    return Envelope(k[:, :1], 2 * half / (knots - 1), average, slope, scatter[:, knots // 2])
