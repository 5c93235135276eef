"""The mean linear map from targets to ridge heads over all draws of given group counts.

Equations by number: docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.population import Side

TOL = 1e-5  # relative change of weights (r.m.s.) at which the fixed point counts as reached
MAX_STEPS = 60
MEMORY = 4  # earlier steps that the next one is mixed from
RENEW = 4  # steps after which elasticities are taken anew
FAR = 1.0  # largest step in the logarithm of leverage: elasticities hold nearby
TINY = 1e-9  # δ that is as good as 0
LARGEST = 1e12  # δ from which on heads follow single images wherever they are


@dataclass(frozen=True, eq=False)
class Draws:
    """What a draw is expected to take: n images, a share (N,) of them standing at each row.

    p: (N,) probability that the row itself is drawn, 0 where rows stand for a distribution.
    """

    n: float
    share: Tensor
    p: Tensor


@dataclass(frozen=True, eq=False)
class Response:
    """E[head] = Q Σ_i w_i x_i t_i: a ridge regression on the whole pool, each row with its weight.

    side: of the rows; Q (d + 1, d + 1); w, delta (N,); R (N, d + 1) xᵢᵀQ and quad
    (N,) xᵢᵀQxᵢ; lever (N,) that of the row less its group's mean; part (G, N) the share of each row
    in the draws from its group. Source: equations 2-4.
    """

    draws: Draws
    side: Side
    Q: Tensor
    w: Tensor
    delta: Tensor
    R: Tensor
    quad: Tensor
    lever: Tensor
    part: Tensor

    @cached_property
    def cross(self) -> Tensor:
        """(N, J) xᵢᵀQxⱼ with the rows that stand for all, float32."""
        return self.R @ self.side.single[self.side.some[0]].T

    @cached_property
    def elastic(self) -> Tensor:
        """(G, G) percent by which leverage in a group falls as weights in another rise by one."""
        rows, stands = self.side.some
        part = self.part.to(self.cross)
        fall = part @ self.cross**2 - (part @ self.cross) ** 2
        fall = (fall * (stands * self.w[rows]).to(fall)) @ (part[:, rows] > 0).to(fall).T
        mean = self.part @ self.lever
        return fall.to(self.w) / torch.where(mean > 0, mean, 1.0)[:, None]


def draws(side: Side, codes: Tensor, counts: Tensor, sizes: Tensor, names: Sequence[str]) -> Draws:
    """Draws of counts (G,) images without replacement from groups of sizes (G,).

    InputError where a group has too few.
    """
    p = shares(side, counts, sizes, names)
    rows = (side.member > 0).sum(1).clamp(min=1)
    n = float(counts.sum())
    return Draws(n, (counts.to(side.x) / n / rows)[codes], p[codes])


def response(
    side: Side,
    codes: Tensor,
    draws: Draws,
    l2: float,
    near: Response | None = None,
    tol: float = TOL,
) -> Response:
    """Response of heads that minimise (1/n) Σ (score − target)² + l2 ‖θ‖², the intercept free.

    near: that of another mix of these rows, to begin at. InputError where l2 is so small that
    heads have no mean.
    """
    x, single = side.x, side.single
    n, p, share = draws.n, draws.p, draws.share
    penalty = torch.full_like(x[0], l2)
    penalty[-1] = 0.0  # the intercept is free
    eye = torch.eye(len(penalty)).to(x)
    part = torch.zeros_like(side.member).scatter_(0, codes[None], share[None])
    part /= part.sum(1, keepdim=True).clamp(min=1e-300)
    # Group counts are fixed, so what all images of a group share is drawn whichever are.
    middle = torch.where(part.any(1)[:, None], part @ x, side.mean)

    undetermined = InputError(
        f"l2={l2:g} leaves heads of {int(n)} images on {len(penalty) - 1} features undetermined: "
        "images too few or covariances of too low a rank; raise l2"
    )

    def inverse(w: Tensor) -> Tensor:
        mean = side.member @ w
        total = mean * (side.member > 0).sum(1)
        A = (total @ side.moment.flatten(1)).view_as(side.moment[0])
        uneven = (w - mean[codes]).float()
        if bool(uneven.any()):  # small beside the rest, so that float32 does
            A += single.T @ (uneven[:, None] * single)
        A.diagonal().add_(penalty)
        root, failed = torch.linalg.cholesky_ex(A)
        if int(failed) or not float(root.diagonal().min()) > 1e-7 * float(root.diagonal().max()):
            raise undetermined
        # cholesky_inverse is LAPACK's potri, twenty times slower than this on two threads.
        return torch.cholesky_solve(eye, root)

    delta = torch.ones_like(p) if near is None else _extrapolated(near, draws, part)
    elastic = None if near is None else near.elastic
    tried: list[tuple[Tensor, Tensor]] = []
    for step in range(1, MAX_STEPS + 1):
        damped = 1 + (1 - p) * delta
        w = share / damped
        Q = inverse(w)
        R = single @ Q.float()
        quad = torch.linalg.vecdot(R, single).to(x)
        pulled = middle @ Q
        across = (x @ pulled.T).gather(1, codes[:, None])[:, 0]
        lever = quad - 2 * across + torch.linalg.vecdot(pulled, middle)[codes]
        found = Response(draws, side, Q, w, delta, R, quad, lever.clamp(min=0), part)
        new = _delta(found.lever / n, p)
        if not float(new.max()) < LARGEST:
            raise undetermined
        gap = (1 + (1 - p) * new) / damped - 1
        if float(w @ gap**2) <= tol**2 * float(w.sum()):
            return found
        if elastic is None or step % RENEW == 0:
            elastic = found.elastic
        tried = [*tried[-MEMORY:], (delta.log(), _extrapolated(found, draws, part, elastic).log())]
        delta = _mixed(tried).exp()
    raise InputError(
        f"l2={l2:g} with {int(n)} images and {x.shape[1] - 1} features: the fixed point was "
        f"not reached in {MAX_STEPS} steps, too close to interpolation; raise l2"
    )


def _extrapolated(
    found: Response, draws: Draws, part: Tensor, elastic: Tensor | None = None
) -> Tensor:
    """(N,) δ of a mix from what is found at other weights.

    The fixed point with the leverage of each group a power of every group's weight, exponents by
    elasticity: Newton's step in one number a group, and what it leaves out is of second order.
    """
    elastic = found.elastic if elastic is None else elastic
    log_scale = torch.zeros_like(elastic[0])
    before = found.part.ne(0).to(found.w) @ found.w
    for _ in range(200):
        h = found.lever * (log_scale.exp() @ part.ne(0).to(log_scale)) / draws.n
        delta = _delta(h, draws.p)
        after = part.ne(0).to(found.w) @ (draws.share / (1 + (1 - draws.p) * delta))
        both = (before > 0) & (after > 0)
        ratio = torch.where(both, after / torch.where(both, before, 1.0), 1.0)
        new = -(elastic @ ratio.log()).clamp(-FAR, FAR)
        if float((new - log_scale).abs().max()) < 1e-9:
            break
        log_scale = new
    return delta.clamp(min=TINY)


def _mixed(tried: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Anderson's mix of earlier steps whose gaps cancel best: for what varies within groups."""
    fx = tried[-1][1]
    if len(tried) == 1:
        return fx
    gaps = torch.stack([f - x for x, f in tried], dim=1)
    change = gaps[:, 1:] - gaps[:, :-1]
    values = torch.stack([f for _, f in tried], dim=1)
    step = (values[:, 1:] - values[:, :-1]) @ (torch.linalg.pinv(change) @ gaps[:, -1])
    # Far from the solution a mix can leave the region where it means anything.
    return torch.where(step.abs().max() < FAR, fx - step, fx)


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
