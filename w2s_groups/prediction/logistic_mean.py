"""Mean head and spread of heads whose loss is curved: each row has a weight of its own.

Shapes: N rows, G groups, S samples of the targets. Equations: docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.moreau_envelope import Envelope, Link, envelope
from w2s_groups.prediction.population import Side
from w2s_groups.prediction.ridge_mean import shares

TOL = 3e-3  # relative change of δ, of spreads and of scores at which the fixed point is reached
MAX_STEPS = 100
DESCENT = 3  # conjugate steps of the mean heads between renewals of δ and spread


@dataclass(frozen=True, eq=False)
class Curved:
    """Heads on draws, for S sets of targets: means of them all, and one spread for all.

    theta (d + 1, S) mean heads; without (N, S) mean scores of rows that are not drawn; Q (d + 1,
    d + 1) inverse mean Hessian; R (N, d + 1) xᵀQ in float32. Of each row (N,): delta what its slope
    takes off its own score when drawn, in units of the slope; beta what the score gains by the row
    of its group whose place it takes; sd of its score over draws without it; amplitude of its noise
    per unit of slope; loo, own as in Spread.
    """

    theta: Tensor
    without: Tensor
    Q: Tensor
    R: Tensor
    delta: Tensor
    beta: Tensor
    sd: Tensor
    amplitude: Tensor
    loo: Tensor
    own: Tensor


def curved(
    side: Side,
    codes: Tensor,
    counts: Tensor,
    sizes: Tensor,
    l2: float,
    targets: Tensor,
    names: Sequence[str],
    link: Link,
    start: Curved | None = None,
) -> Curved:
    """Heads on counts (G,) images, drawn without replacement, with targets (N, S).

    l2 > 0: as heads.Problem has it; start: of a mix nearby, saves steps. InputError where a group
    is too small, or no fixed point is found. Source: equations 14-21.
    """
    p_g = shares(side, counts, sizes, names)
    counts = counts.to(side.x)
    n, rows = counts.sum(), (side.member > 0).sum(1).to(side.x)
    p, drawn = p_g[codes], counts[codes] > 0
    weight = (counts / n / rows.clamp(min=1))[codes]
    itself = torch.where(torch.isfinite(sizes[codes]), p / n, 0.0)
    noise = ((1 - p_g) * counts / n**2 / (rows - 1).clamp(min=1)).sqrt()[codes]
    penalty = torch.full_like(side.x[0], l2)
    penalty[-1] = 0.0  # the intercept is free
    x, eye = side.single, torch.eye(len(penalty)).to(side.x)

    def inverse(bend: Tensor) -> Tensor:
        A = (x.T @ ((weight * bend).float()[:, None] * x)).to(side.x)
        A.diagonal().add_(penalty)
        root, failed = torch.linalg.cholesky_ex(A)
        if int(failed):
            raise _unsolved(l2, n, len(penalty))
        return torch.cholesky_solve(eye, root)

    Q = None if start is None else start.Q
    if start is None:
        delta, sd, beta = torch.ones_like(p), torch.zeros_like(p), torch.zeros_like(p)
        theta = torch.zeros(len(penalty), targets.shape[1]).to(side.x)
    else:
        delta, sd, beta = start.delta, start.sd, start.beta
        theta = start.theta.mean(1, keepdim=True).expand(-1, targets.shape[1])
    scores = side.x @ theta
    for _ in range(MAX_STEPS):
        lifted = (1 - p)[:, None] * (delta[:, None] * targets + beta[:, None])
        near = envelope(scores + lifted, delta, sd, p, link)
        if Q is None:
            Q = inverse(near.at(scores + lifted)[1].mean(1))
        theta, scores, moved = _descend(
            side.x, Q, penalty, weight, near, lifted, targets, theta, scores
        )
        value, bends = near.at(scores + lifted)
        slope, bend = value - targets, bends.mean(1)
        Q = inverse(bend)
        R = x @ Q.float()
        quad = torch.linalg.vecdot(R, x).to(side.x)
        new_delta = quad / n / (1 - itself * bend * quad).clamp(min=1e-6)
        # One more of a group takes the place of another: what an average one would have moved.
        pulled = (side.member * slope.mean(1)) @ side.x
        new_beta = (R @ pulled.T.float()).to(side.x).gather(1, codes[:, None])[:, 0] / n
        amplitude = noise * (1 + p * delta * bend)
        loo = 1 - itself * bend * quad
        own = torch.where(itself > 0, quad, 0.0)
        energy = amplitude**2 * ((slope**2).mean(1) + near.scatter)
        B = x.T @ (energy.float()[:, None] * x)
        common = (side.member * (amplitude * slope.mean(1))) @ side.x * rows.sqrt()[:, None]
        B -= (common.T @ common).float()
        over = torch.linalg.vecdot(R @ B, R).to(side.x)
        new_sd = ((over - own**2 * energy) / loo**2).clamp(min=0).sqrt()
        gaps = (
            (new_delta / delta).log()[drawn].abs().max(),
            (new_sd - sd).abs().max() / (new_sd.max() + TOL),
            moved / (1 + scores.square().mean().sqrt()),
        )
        delta, sd, beta = new_delta, new_sd, new_beta
        if max(float(gap) for gap in gaps) <= TOL:
            without = scores + p[:, None] * (delta[:, None] * slope - beta[:, None])
            return Curved(theta, without, Q, R, delta, beta, sd, amplitude, loo, own)
    raise _unsolved(l2, n, len(penalty))


def _descend(
    x: Tensor,
    Q: Tensor,
    penalty: Tensor,
    weight: Tensor,
    near: Envelope,
    lifted: Tensor,
    targets: Tensor,
    theta: Tensor,
    scores: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Conjugate steps, conditioned by Q, of all S heads at once; r.m.s. last step of the scores."""
    direction = before = torch.zeros_like(theta)
    kept = torch.full_like(theta[0], torch.inf)
    for _ in range(DESCENT):
        value, bend = near.at(scores + lifted)
        gradient = penalty[:, None] * theta + x.T @ (weight[:, None] * (value - targets))
        push = Q @ gradient
        turn = ((gradient * (push - before)).sum(0) / kept).clamp(min=0)  # Polak and Ribiere's
        direction = turn * direction - push
        before, kept = push, (gradient * push).sum(0).clamp(min=1e-300)
        along = x @ direction
        curvature = penalty @ direction**2 + weight @ (bend * along**2)
        step = -(gradient * direction).sum(0) / curvature.clamp(min=1e-300)
        theta, change = theta + step * direction, step * along
        scores = scores + change
    return theta, scores, change.square().mean().sqrt()


def _unsolved(l2: float, n: Tensor, d: int) -> InputError:
    return InputError(
        f"l2={l2:g} with {int(n)} images and {d - 1} features: the fixed point was not reached in "
        f"{MAX_STEPS} steps, too close to separable; raise l2"
    )
