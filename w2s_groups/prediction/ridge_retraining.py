"""Selective retraining: the student refitted on the part of its images that it is surest of.

Shapes: N rows, T points, G groups, S samples, K scores. Equations by number: docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.population import Side
from w2s_groups.prediction.ridge_covariance import Spread
from w2s_groups.prediction.ridge_mean import Draws, response

TOL = 1e-3  # of conjugate gradients, in the norm of the ridge: far below the noise of one draw
MAX_STEPS = 200
NEAR = 1e-3  # relative change of weights: Q only preconditions, and δ is an estimate


@dataclass(frozen=True)
class Selection:
    """keep: share of the unlabelled set, in (0, 1]. hard: refit on decisions, else on scores."""

    keep: float
    hard: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InputError(f"keep={self.keep} must lie in (0, 1]; LDL25's choices begin at 0.2")


@dataclass(frozen=True, eq=False)
class Student:
    """Samples of one cell: targets (N, S, K) of rows, scores loo (N, S, K) of each without itself,

    and drawn (N, S), the noise of which rows were drawn.
    """

    targets: Tensor
    loo: Tensor
    drawn: Tensor


@dataclass(frozen=True, eq=False)
class Refit:
    """Scores loo (N, S, K) of rows and at (T, S, K) of points; kept (S, G) share of each group."""

    loo: Tensor
    at: Tensor | None
    kept: Tensor


def refits(
    side: Side,
    codes: Tensor,
    counts: Tensor,
    sizes: Tensor,
    l2: float,
    spread: Spread,
    students: Sequence[Student],
    selection: Selection,
    points: Tensor | None,
) -> Iterator[Refit]:
    """The refit of each student of one unlabelled mix, counts (G,) of sizes (G,).

    spread: of the students. points: (T, d + 1) student features. Source: equations 10-13.
    """
    counts = counts.to(side.x)
    p, n = spread.response.draws.p, spread.response.draws.n
    m = max(1, int(selection.keep * n + 0.5))
    rows = (side.member > 0).sum(1)
    each = counts / rows.clamp(min=1)
    wave = (rows / counts.clamp(min=1) * rows / (rows - 1).clamp(min=1))[codes]
    wave = torch.sqrt((1 - p) * wave)
    delta = spread.response.quad / (n * spread.loo)
    drawn, kept = [], []
    for student in students:
        inside = student.targets - (student.targets - student.loo) / (1 + delta)[:, None, None]
        drawn.append(each[codes, None] * (1 + wave[:, None] * student.drawn))
        mask = most_confident(inside, drawn[-1], m)
        kept.append(mask if m < n else torch.ones_like(mask))

    often = torch.stack([mask.to(side.x).mean(1) for mask in kept]).mean(0)
    # A row that is selected now and then is drawn with the smaller probability.
    share = each[codes] * often
    taken = Draws(float(share.sum()), share / share.sum(), p * often)
    found = response(side, codes, taken, l2, spread.response, NEAR)
    own = found.quad / (1 - found.w * (rows / sizes.clamp(min=1))[codes] * found.quad)
    damped = 1 / (m * (1 + (1 - p) * found.delta))
    loo = 1 / (1 + p * damped * own)
    own = torch.where(p > 0, own * loo, 0.0)
    x, Q, w = side.single, found.Q.float(), each[codes] * damped
    penalty = torch.full_like(x[0], l2)
    penalty[-1] = 0.0
    for student, times, mask in zip(students, drawn, kept, strict=True):
        t = _decisions(student.targets) if selection.hard else student.targets
        N, S, K = t.shape
        ridge = _Ridge(x, (w[:, None] * mask).float(), penalty, Q)
        divide = torch.where(mask, loo[:, None], 1.0)[:, :, None]
        mean = ridge.pull(w[:, None, None] * mask[:, :, None] * t)
        theta = ridge.solve(mean, Q @ mean)
        fitted = (x @ theta).to(t).reshape(N, S, K)
        residual = (t - fitted) / divide
        noise = ((w * wave)[:, None] * mask * student.drawn)[:, :, None]
        moved, pushed = torch.zeros_like(residual), torch.zeros_like(theta)
        for last in (False, True):  # the second time with residuals that vary as heads do
            e = noise * (residual - moved)
            pull = ridge.pull(e)
            pushed = ridge.solve(pull, pushed) if last else Q @ pull
            moved = ((x @ pushed).to(t).reshape(N, S, K) - own[:, None, None] * e) / divide
        without = t - residual + moved
        without = torch.where(mask[:, :, None], without, fitted + moved)
        at = None if points is None else (points.float() @ (theta + pushed)).reshape(-1, S, K)
        share = (side.member @ (times * mask) * rows[:, None] / counts[:, None]).T
        yield Refit(without, at, share)


def confidence(scores: Tensor) -> Tensor:
    """(N, S) margin of the largest of (N, S, K) scores over the next; one score is that of y = 1.

    For two classes the order is that of the entropy of the scores, wherever that is defined.
    """
    if scores.shape[-1] == 1:
        return (2 * scores[..., 0] - 1).abs()
    first, second = scores.topk(2, dim=-1).values.unbind(-1)
    return first - second


def most_confident(scores: Tensor, times: Tensor, m: int) -> Tensor:
    """(N, S) the surest rows, together m images, where row i stands for times (N, S) images."""
    order = confidence(scores).argsort(dim=0, descending=True, stable=True)
    mass = times.gather(0, order)
    before = mass.cumsum(0) - mass / 2
    rank = torch.arange(len(order), device=order.device)[:, None]
    mask = torch.zeros_like(order, dtype=torch.bool)
    return mask.scatter_(0, order, rank < (before < m).sum(0))


def _decisions(scores: Tensor) -> Tensor:
    if scores.shape[-1] == 1:
        return (scores > 0.5).to(scores)
    return one_hot(scores.argmax(-1), scores.shape[-1]).to(scores)


@dataclass(frozen=True, eq=False)
class _Ridge:
    """P + Σ_i weight_i x_i x_iᵀ of S samples, weight (N, S), near the inverse of Q."""

    x: Tensor
    weight: Tensor
    penalty: Tensor
    Q: Tensor

    def pull(self, values: Tensor) -> Tensor:
        """(d + 1, S K) Σ_i x_i values_i."""
        return self.x.T @ values.flatten(1).to(self.x)

    def times(self, theta: Tensor) -> Tensor:
        seen = (self.x @ theta).reshape(*self.weight.shape, -1)
        return self.pull(self.weight[:, :, None] * seen) + self.penalty[:, None] * theta

    def solve(self, b: Tensor, start: Tensor) -> Tensor:
        """Heads (d + 1, S K) by conjugate gradients from `start`, all columns at once."""
        theta, r = start, b - self.times(start)
        step = z = self.Q @ r
        left = (r * z).sum(0)
        enough = TOL**2 * (b * (self.Q @ b)).sum(0)
        for _ in range(MAX_STEPS):
            if bool((left <= enough).all()):
                return theta
            along = self.times(step)
            length = left / (step * along).sum(0).clamp(min=1e-30)
            theta = theta + length * step
            r = r - length * along
            z = self.Q @ r
            new = (r * z).sum(0)
            step, left = z + new / left.clamp(min=1e-30) * step, new
        raise InputError(
            f"l2={float(self.penalty[0]):g} leaves students that are refitted on what they are "
            "surest of too close to interpolation to be predicted; raise l2 or keep"
        )
