"""The mean linear map from targets to ridge heads over all draws of given group counts.

Equations by number: docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.errors import InputError
from w2s_groups.prediction.population import Side

TOL = 1e-5  # relative change of δ at which the fixed point counts as reached
MAX_STEPS = 500
LARGEST = 30.0  # log δ from which on heads follow single images wherever they are
MEMORY = 5  # earlier steps that the next one is extrapolated from


@dataclass(frozen=True, eq=False)
class Response:
    """E[head] = Q Σ_i w_i x_i tᵢ: a ridge regression on the whole pool with weights by group.

    Q (d + 1, d + 1); W (G,) total weight of each group; delta (G,), p (G,) n_g / N_g; kappa (G,)
    the factor of each group's residuals in the covariance. Source: equations 2-4 and 6.
    """

    Q: Tensor
    W: Tensor
    delta: Tensor
    p: Tensor
    kappa: Tensor
    sizes: Tensor


def response(
    side: Side,
    counts: Tensor,
    sizes: Tensor,
    l2: float,
    names: Sequence[str],
    start: Tensor | None = None,
) -> Response:
    """Response of heads on counts (G,) images without replacement from groups of sizes (G,).

    l2 >= 0: weight of ‖θ‖², as heads.Problem has it, intercept free. start: (G,) δ to begin at.
    InputError where a group is too small, or l2 so small that heads have no mean.
    """
    p = shares(side, counts, sizes, names)
    counts = counts.to(side.x)
    n = float(counts.sum())
    penalty = torch.full_like(side.x[0], l2)
    penalty[-1] = 0.0  # the intercept is free

    undetermined = InputError(
        f"l2={l2:g} leaves heads of {int(n)} images on {len(penalty) - 1} features undetermined: "
        "images too few or covariances of too low a rank; raise l2"
    )

    eye = torch.eye(len(penalty)).to(side.x)

    def inverse(W: Tensor) -> Tensor:
        A = (W @ side.covariance.flatten(1)).view_as(side.covariance[0])
        A += side.mean.T @ (W[:, None] * side.mean)
        A.diagonal().add_(penalty)
        root, failed = torch.linalg.cholesky_ex(A)
        if int(failed) or not float(root.diagonal().min()) > 1e-7 * float(root.diagonal().max()):
            raise undetermined
        # cholesky_inverse is LAPACK's potri, twenty times slower than this on two threads.
        return torch.cholesky_solve(eye, root)

    def step(log_delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        W = counts / n / (1 + (1 - p) * log_delta.exp())
        Q = inverse(W)
        h = (side.covariance.flatten(1) @ Q.flatten()).clamp(min=0) / n
        # A group of one image has no covariance, and one that is not drawn no say.
        new = torch.where(counts > 0, _delta(h, p).clamp(min=1e-9).log(), log_delta)
        return new, Q, W

    log_delta = torch.log(torch.ones_like(p) if start is None else start)
    tried: list[tuple[Tensor, Tensor]] = []
    for _ in range(MAX_STEPS):
        new, Q, W = step(log_delta)
        if not float(new.max()) < LARGEST:
            raise undetermined
        gap = (new - log_delta)[counts > 0]
        if float(gap.abs().max()) <= TOL:
            kappa = (1 - p) * W**2 / torch.where(counts > 0, counts, 1.0)
            return Response(Q, W, log_delta.exp(), p, kappa, sizes)
        tried = [*tried[-MEMORY:], (log_delta, new)]
        log_delta = _extrapolated(tried)
    raise InputError(
        f"l2={l2:g} with {int(n)} images and {side.x.shape[1] - 1} features: the fixed point was "
        f"not reached in {MAX_STEPS} steps, too close to interpolation; raise l2"
    )


def shares(side: Side, counts: Tensor, sizes: Tensor, names: Sequence[str]) -> Tensor:
    """(G,) share of each group that a draw takes; InputError where a group has too few images."""
    counts = counts.to(side.x)
    rows = (side.member > 0).sum(1)
    short = (counts > sizes) | ((counts > 0) & (rows == 0))
    if bool(short.any()):
        g = int(short.nonzero()[0])
        raise InputError(
            f"counts ask for {int(counts[g])} images of {names[g]} and the pool has "
            f"{int(min(sizes[g], rows[g]))}; lower n, or choose an eta that needs fewer of them"
        )
    return counts / torch.where(counts > 0, sizes, torch.ones_like(sizes))


def _delta(h: Tensor, p: Tensor) -> Tensor:
    """Root δ >= 0 of (1 − p)δ² + (1 − h)δ − h = 0, written so that p → 1 stays exact: eq. 4."""
    half = 1 - h
    return 2 * h / (half + torch.sqrt(half**2 + 4 * (1 - p) * h))


def _extrapolated(tried: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Anderson's step: the combination of earlier steps whose gaps cancel best."""
    fx = tried[-1][1]
    if len(tried) == 1:
        return fx
    gaps = torch.stack([f - x for x, f in tried], dim=1)
    change = gaps[:, 1:] - gaps[:, :-1]
    values = torch.stack([f for _, f in tried], dim=1)
    weight = torch.linalg.pinv(change) @ gaps[:, -1:]
    new = fx - ((values[:, 1:] - values[:, :-1]) @ weight)[:, 0]
    # Far from the solution an extrapolation can leave the region where it means anything.
    return torch.where((new - fx).abs().max() < 2, new, fx)
