"""How heads vary from draw to draw, given the residuals of each row. Equations: docs/prediction.md.

Shapes: N rows, G groups, S samples, K scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.prediction.population import Side
from w2s_groups.prediction.response import Response


@dataclass(frozen=True, eq=False)
class Spread:
    """One side's response as seen from the rows of the population.

    R (N, d + 1) x_iᵀQ in float32; loo (N,) 1 − w_i x_iᵀQx_i, by which a row's residual is divided
    to be that of the fit without it; own (N,) x_iᵀQx_i where a row can be drawn itself, else 0;
    amplitude (G,) of a row's noise per unit of residual. source (2G, 2G): from mean squares and
    within-group variances of the residuals to the variances that they cause, within groups and of
    group means. keep, pull (G,): the mean square and the variance of the factor between a row's
    residual and the one without it.
    """

    response: Response
    R: Tensor
    loo: Tensor
    own: Tensor
    amplitude: Tensor
    source: Tensor
    keep: Tensor
    pull: Tensor


def spread(side: Side, codes: Tensor, response: Response) -> Spread:
    """Source: equations 5-8."""
    Q, W, p, kappa = response.Q, response.W, response.p, response.kappa
    # Float32: a fraction of the noise hangs on these products, which are most of the work here.
    single = Q.float()
    R = side.single @ single
    quad = torch.linalg.vecdot(R, side.single).to(Q)
    w = W / response.sizes.clamp(min=1)
    finite = torch.isfinite(response.sizes)
    rows = (side.member > 0).sum(1).clamp(min=1)
    shrunk = response.delta / (1 + response.delta)
    keep = 1 - p * (1 - (1 - shrunk) ** 2)
    pull = p * (1 - p) * shrunk**2
    m = side.mean
    SQ = torch.stack([part.float() @ single for part in side.covariance])
    within = (SQ.flatten(1) @ SQ.mT.flatten(1).T).to(Q)
    Qm = m @ Q
    across = torch.einsum("hi,gij,hj->gh", Qm, side.covariance, Qm)
    along = (Qm @ m.T) ** 2
    top = torch.cat([within, across], dim=1)
    bottom = torch.cat([across.T, along], dim=1)
    source = torch.cat([top, bottom]) * torch.cat([kappa, kappa])
    return Spread(
        response,
        R,
        1 - w[codes] * quad,
        torch.where(finite[codes], quad, 0.0),
        torch.sqrt(kappa / rows * (rows / (rows - 1).clamp(min=1))),
        source,
        keep,
        pull,
    )


def residual_variance(s: Spread, member: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """(G, S, K, K) variance over draws of the residuals: within groups, and of the group means.

    residual: (N, S, K) mean residuals of each row under the fit without it. Solves equation 8.
    """
    G = len(member)
    square = torch.einsum("gn,nsk,nsl->gskl", member, residual, residual)
    mean = torch.einsum("gn,nsk->gsk", member, residual)
    inside = square - mean[..., :, None] * mean[..., None, :]
    flat = torch.cat([square, inside]).reshape(2 * G, -1)
    # A row's score carries v of its group's rows and b of their mean: variances add to squares.
    eye = torch.eye(G).to(member)
    zero = torch.zeros_like(eye)
    lift = torch.cat([torch.cat([eye, eye], 1), torch.cat([eye, zero], 1)])
    scale = torch.cat([1 / s.keep, torch.ones_like(s.keep)])[:, None]
    start = s.source @ flat
    start[:G] -= s.pull[:, None] * flat[:G]
    system = torch.eye(2 * G).to(member) - scale * (s.source @ lift)
    solved = torch.linalg.solve(system, scale * start).reshape(2 * G, *square.shape[1:])
    return solved[:G], solved[G:]


def square_root(matrix: Tensor) -> Tensor:
    """(..., K, K) symmetric root of what is positive of a symmetric matrix."""
    if matrix.shape[-1] == 1:
        return matrix.clamp(min=0).sqrt()
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT
    return root
