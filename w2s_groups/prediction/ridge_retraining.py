"""Selective retraining: students retrained on the most confident part of their images.

Shapes: N rows, T points, G groups, S samples, K scores. Equations by number: docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.population import GroupedFeatures
from w2s_groups.prediction.ridge_covariance import ResidualCovariance
from w2s_groups.prediction.ridge_mean import MeanResponse, SamplingDesign, mean_response

TOL = 1e-3  # of conjugate gradients, in the norm of the ridge: far below the noise of one draw
MAX_STEPS = 200
NEAR = 1e-3  # relative change of weights: Q only preconditions, and δ is an estimate


@dataclass(frozen=True)
class Selection:
    """What students are retrained on: a share `keep`, in (0, 1], of their unlabelled images.

    hard: the targets are the teacher's decisions, else its scores.
    """

    keep: float
    hard: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InputError(
                f"keep={self.keep} must lie in (0, 1]; the choices of LDL25 begin at 0.2"
            )


@dataclass(frozen=True, eq=False)
class StudentSamples:
    """Samples of the students of one cell.

    targets: (N, S, K) of rows; loo: (N, S, K) scores of each row without itself; selected: (N, S)
    noise ζ of the rows that were drawn.
    """

    targets: Tensor
    loo: Tensor
    selected: Tensor


@dataclass(frozen=True, eq=False)
class RetrainedSamples:
    """Scores of retrained students: loo (N, S, K) of rows, at_points (T, S, K) or None.

    kept: (S, G) share of each group of the unlabelled set that is kept.
    """

    loo: Tensor
    at_points: Tensor | None
    kept: Tensor


def retrained_samples(
    covariance: ResidualCovariance,
    counts: Tensor,
    l2: float,
    students: Sequence[StudentSamples],
    selection: Selection,
    points: Tensor | None,
) -> Iterator[RetrainedSamples]:
    """The students of one unlabelled mix, counts (G,), retrained one after the other.

    covariance: of the students. points: (T, d + 1) student features. Source: equations 10-13.
    """
    draw = _draw(covariance.response, counts.to(covariance.response.features.x))
    m = max(1, int(selection.keep * draw.n + 0.5))
    kept = [_kept(covariance, draw, student, m) for student in students]
    fit = _fit(covariance.response, draw, kept, l2, m)
    for student, part in zip(students, kept, strict=True):
        yield fit.retrained(student, part, selection.hard, points)


@dataclass(frozen=True, eq=False)
class _Draw:
    """An unlabelled set of n images, counts (G,).

    images: (N,) that a row represents on average; noise: (N,) c_g, the standard deviation of that
    number relative to its mean.
    """

    n: float
    counts: Tensor
    images: Tensor
    noise: Tensor


@dataclass(frozen=True, eq=False)
class _Kept:
    """images: (N, S) that each row represents in a sample; mask: (N, S) whether it is kept."""

    images: Tensor
    mask: Tensor


def _draw(response: MeanResponse, counts: Tensor) -> _Draw:
    features, p = response.features, response.sampling.inclusion
    rows = features.n_rows
    variance = (rows / counts.clamp(min=1) * rows / (rows - 1).clamp(min=1))[features.codes]
    images = (counts / rows.clamp(min=1))[features.codes]
    return _Draw(response.sampling.n, counts, images, torch.sqrt((1 - p) * variance))


def _kept(covariance: ResidualCovariance, draw: _Draw, student: StudentSamples, m: int) -> _Kept:
    """The m most confident images, by the scores of rows that were drawn: equation 10."""
    delta = covariance.response.leverage / (draw.n * covariance.loo_divisor)
    fitted = student.targets - (student.targets - student.loo) / (1 + delta)[:, None, None]
    images = draw.images[:, None] * (1 + draw.noise[:, None] * student.selected)
    mask = most_confident(fitted, images, m)
    return _Kept(images, mask if m < draw.n else torch.ones_like(mask))


@dataclass(frozen=True, eq=False)
class _Fit:
    """Equations 11-13 for one unlabelled mix: what its students share.

    w: (N,) weights of selected rows. own_leverage, loo_divisor: (N,) as in ResidualCovariance. Q:
    (d + 1, d + 1) float32, and penalty (d + 1,) the diagonal of P.
    """

    features: GroupedFeatures
    draw: _Draw
    w: Tensor
    own_leverage: Tensor
    loo_divisor: Tensor
    Q: Tensor
    penalty: Tensor

    def retrained(
        self, student: StudentSamples, kept: _Kept, hard: bool, points: Tensor | None
    ) -> RetrainedSamples:
        """Mean heads of equation 11, then their noise in two rounds."""
        x, mask, w = self.features.x32, kept.mask, self.w[:, None]
        t = _decisions(student.targets) if hard else student.targets
        N, S, K = t.shape
        ridge = _SampledRidge(x, (w * mask).float(), self.penalty, self.Q)
        divisor = torch.where(mask, self.loo_divisor[:, None], 1.0)[:, :, None]
        mean = ridge.weighted_sum(w[:, :, None] * mask[:, :, None] * t)
        theta = ridge.solve(mean, self.Q @ mean)
        fitted = (x @ theta).to(t).reshape(N, S, K)
        residual = (t - fitted) / divisor
        noise = ((self.w * self.draw.noise)[:, None] * mask * student.selected)[:, :, None]
        change, theta_noise = torch.zeros_like(residual), torch.zeros_like(theta)
        for last in (False, True):  # the second time with residuals that vary as heads do
            e = noise * (residual - change)
            x_e = ridge.weighted_sum(e)
            theta_noise = ridge.solve(x_e, theta_noise) if last else self.Q @ x_e
            change = (x @ theta_noise).to(t).reshape(N, S, K)
            change = (change - self.own_leverage[:, None, None] * e) / divisor
        loo = torch.where(mask[:, :, None], t - residual + change, fitted + change)
        at = None
        if points is not None:
            at = (points.float() @ (theta + theta_noise)).reshape(-1, S, K)
        return RetrainedSamples(loo, at, self._shares(kept))

    def _shares(self, kept: _Kept) -> Tensor:
        """(S, G) share of each group that is kept."""
        rows = self.features.n_rows
        images = self.features.group_weights @ (kept.images * kept.mask) * rows[:, None]
        return (images / self.draw.counts[:, None]).T


def _fit(response: MeanResponse, draw: _Draw, kept: Sequence[_Kept], l2: float, m: int) -> _Fit:
    features, p = response.features, response.sampling.inclusion
    often = torch.stack([part.mask.to(features.x).mean(1) for part in kept]).mean(0)
    # A row that is selected in some samples is drawn with the smaller probability.
    share = draw.images * often
    sampling = SamplingDesign(float(share.sum()), share / share.sum(), p * often)
    mean = mean_response(features, sampling, l2, response, NEAR)
    own_weight = mean.w * (features.n_rows / features.sizes.clamp(min=1))[features.codes]
    leverage = mean.leverage / (1 - own_weight * mean.leverage)
    damped = 1 / (m * (1 + (1 - p) * mean.delta))
    loo = 1 / (1 + p * damped * leverage)
    return _Fit(
        features,
        draw,
        draw.images * damped,
        torch.where(p > 0, leverage * loo, 0.0),
        loo,
        mean.Q.float(),
        features.penalty(l2).float(),
    )


def confidence(scores: Tensor) -> Tensor:
    """(N, S) margin of the largest of (N, S, K) scores over the next; one score is that of y = 1.

    For two classes the order is that of the entropy of the scores, wherever that is defined.
    """
    if scores.shape[-1] == 1:
        return (2 * scores[..., 0] - 1).abs()
    first, second = scores.topk(2, dim=-1).values.unbind(-1)
    return first - second


def most_confident(scores: Tensor, images: Tensor, m: int) -> Tensor:
    """(N, S) mask of the most confident m images, where a row counts as images (N, S)."""
    order = confidence(scores).argsort(dim=0, descending=True, stable=True)
    mass = images.gather(0, order)
    before = mass.cumsum(0) - mass / 2
    rank = torch.arange(len(order), device=order.device)[:, None]
    mask = torch.zeros_like(order, dtype=torch.bool)
    return mask.scatter_(0, order, rank < (before < m).sum(0))


def _decisions(scores: Tensor) -> Tensor:
    if scores.shape[-1] == 1:
        return (scores > 0.5).to(scores)
    return one_hot(scores.argmax(-1), scores.shape[-1]).to(scores)


@dataclass(frozen=True, eq=False)
class _SampledRidge:
    """A = P + Σ_i weight_i x_i x_iᵀ of S samples, weight (N, S); Q is near its inverse."""

    x: Tensor
    weight: Tensor
    penalty: Tensor
    Q: Tensor

    def weighted_sum(self, values: Tensor) -> Tensor:
        """(d + 1, S K) Σ_i x_i values_i of values (N, S, K)."""
        return self.x.T @ values.flatten(1).to(self.x)

    def times(self, theta: Tensor) -> Tensor:
        """(d + 1, S K) A θ."""
        scores = (self.x @ theta).reshape(*self.weight.shape, -1)
        return self.weighted_sum(self.weight[:, :, None] * scores) + self.penalty[:, None] * theta

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
            f"l2={float(self.penalty[0]):g} leaves students that are retrained on their most "
            "confident images too close to interpolation to be predicted; raise l2 or keep"
        )
