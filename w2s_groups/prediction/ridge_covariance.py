"""How heads vary from draw to draw, given the residuals of each row. Equations: docs/prediction.md.

Shapes: N rows, J of them that stand for all, G groups, C cells, S samples, K scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.ridge_mean import Response

FEW = 2  # samples whose common noise stands for that of all


@dataclass(frozen=True, eq=False)
class Spread:
    """One side's response as seen from the rows of the population.

    Of each row (N,): loo 1 − w_i x_iᵀQx_i, by which its residual is divided to be that of the fit
    without it; own x_iᵀQx_i where it can be drawn itself, else 0; amplitude of its noise per unit
    of residual; keep and pull: mean square and variance of the factor between its residual and the
    one without it. passed (N, J): how a unit of variance of the residuals that stand for all, times
    their squared amplitude, reaches a row's score. root (J, J): Cholesky factor of equation 8.
    """

    response: Response
    loo: Tensor
    own: Tensor
    amplitude: Tensor
    keep: Tensor
    pull: Tensor
    passed: Tensor
    root: Tensor


def spread(codes: Tensor, sizes: Tensor, response: Response) -> Spread:
    """Spread where the pool has sizes (G,) images of each group. Source: equations 5-8.

    InputError where heads are so close to interpolation that they have no finite variance.
    """
    side, p, share, n = response.side, response.draws.p, response.draws.share, response.draws.n
    rows = (side.member > 0).sum(1)
    each = rows[codes]
    # An image's own weight: where rows are a sample of the pool, each stands for several.
    itself = response.w * (each / sizes.clamp(min=1)[codes])
    finite = torch.isfinite(sizes)[codes]
    shrunk = response.delta / (1 + response.delta)
    keep = 1 - p * (1 - (1 - shrunk) ** 2)
    count = n * share * each
    kappa = (1 - p) * (response.w * each) ** 2 / torch.where(count > 0, count, 1.0)
    bessel = torch.where(finite, (sizes / (sizes - 1).clamp(min=1))[codes], 1.0)
    amplitude = torch.sqrt(kappa / each * bessel)
    some, stands = side.some
    passed = response.cross**2
    passed[some, torch.arange(len(some), device=some.device)] = 0.0
    itself_too = (amplitude * response.quad) ** 2
    keep, pull = keep - itself_too, p * (1 - p) * shrunk**2 - itself_too
    # Symmetric in the variances times their amplitudes.
    scale = (stands.sqrt() * amplitude[some]).to(passed)
    system = -scale[:, None] * passed[some] * scale
    system.diagonal().add_(keep[some].to(passed))
    root, failed = torch.linalg.cholesky_ex(system)
    if int(failed):
        raise InputError(
            f"{int(n)} images on {side.x.shape[1] - 1} features leave heads without a finite "
            "variance: too close to interpolation; raise l2 or n"
        )
    return Spread(
        response,
        1 - itself * response.quad,
        torch.where(finite, response.quad, 0.0),
        amplitude,
        keep,
        pull,
        passed,
        root,
    )


def residual_variance(s: Spread, codes: Tensor, residual: Tensor) -> Tensor:
    """(N, C, K, K) variance over draws of each row's residual under the fit without it, eq. 8.

    residual: (N, C, S, K) mean residuals under that fit, float32; the variance is the mean over S.
    """
    N, C, S, K = residual.shape
    side, onehot = s.response.side, one_hot(codes).to(residual)
    some, stands = side.some
    amplitude, lever = s.amplitude.to(residual), s.response.lever.to(residual)
    square = torch.einsum("ncsk,ncsl->nckl", residual, residual).reshape(N, -1) / S
    energy = amplitude[:, None] ** 2 * square
    # Counts are fixed: what the noise of a group has in common is no noise. A small correction, of
    # which a few samples tell the mean.
    few = residual[:, :, :: -(-S // FEW)]
    pushed = (amplitude[:, None] * few.flatten(1))[:, None] * onehot[:, :, None]
    common = s.response.R @ (side.single.T @ pushed.flatten(1))
    common = common.reshape(N, -1, *few.shape[1:])
    shared = torch.einsum("ngcsk,ngcsl,g->nckl", common, common, 1 / onehot.sum(0).clamp(min=1))
    minus = shared.reshape(N, -1) / few.shape[2] + s.pull.to(residual)[:, None] * square
    # What stands for a group has the same sum as the group.
    weight = stands.to(residual)[:, None]
    whole = onehot.T @ (lever[:, None] * energy)
    part = onehot[some].T @ (weight * lever[some, None] * energy[some])
    even = torch.where(part.abs() > 0, whole / torch.where(part.abs() > 0, part, 1.0), 1.0)
    source = weight * energy[some] * even[codes[some]]
    scale = weight.sqrt() * amplitude[some, None]
    start = scale * (s.passed[some] @ source - minus[some])
    solved = scale * torch.cholesky_solve(start, s.root)
    variance = (s.passed @ (source + solved) - minus) / s.keep.to(residual)[:, None]
    return variance.reshape(N, C, K, K)


def square_root(matrix: Tensor) -> Tensor:
    """(..., K, K) symmetric root of what is positive of a symmetric matrix."""
    if matrix.shape[-1] == 1:
        return matrix.clamp(min=0).sqrt()
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT
    return root
