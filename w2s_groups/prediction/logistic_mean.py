"""Mean heads and their covariance where the loss has a curvature: each row has its own weight.

Shapes: N rows, G groups, S samples of the targets. Equations: docs/prediction.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.moreau_envelope import Link, MoreauEnvelope, moreau_envelope
from w2s_groups.prediction.population import GroupedFeatures
from w2s_groups.prediction.ridge_mean import inclusion_probabilities

TOL = 3e-3  # relative change of δ, of s and of scores at which the fixed point is reached
MAX_STEPS = 100
DESCENT = 3  # conjugate steps of the mean heads between renewals of δ and s


@dataclass(frozen=True, eq=False)
class LogisticMean:
    """Heads on draws, for S sets of targets: the mean of each, and one covariance for all.

    theta: (d + 1, S) mean heads. without: (N, S) mean scores m̄ of rows that are not drawn. Q:
    (d + 1, d + 1) inverse mean Hessian. XQ: (N, d + 1) rows times Q, float32. Of each row (N,):
    delta, beta as in equation 14; sd, s_i of equation 21; amplitude of its noise per unit of slope;
    loo_divisor and own_leverage as in ResidualCovariance.
    """

    features: GroupedFeatures
    theta: Tensor
    without: Tensor
    Q: Tensor
    XQ: Tensor
    delta: Tensor
    beta: Tensor
    sd: Tensor
    amplitude: Tensor
    loo_divisor: Tensor
    own_leverage: Tensor


def logistic_mean(
    features: GroupedFeatures,
    counts: Tensor,
    l2: float,
    targets: Tensor,
    link: Link,
    start: LogisticMean | None = None,
) -> LogisticMean:
    """Heads on counts (G,) images, drawn without replacement, with targets (N, S).

    l2 > 0: as in heads.Problem. link: of the loss; start: heads of a mix nearby, which saves steps.
    InputError where a group has too few images, or no fixed point is found. Source: equations
    14-21.
    """
    problem = _problem(features, counts, l2, targets)
    p, zero = problem.p, torch.zeros_like(problem.p)
    if start is None:
        Q, delta, beta, sd = None, torch.ones_like(p), zero, zero
        theta = torch.zeros(features.x.shape[1], targets.shape[1]).to(features.x)
    else:
        Q, delta, beta, sd = start.Q, start.delta, start.beta, start.sd
        theta = start.theta.mean(1, keepdim=True).expand(-1, targets.shape[1])
    scores = features.x @ theta
    for _ in range(MAX_STEPS):
        shift = (1 - p)[:, None] * (delta[:, None] * targets + beta[:, None])
        envelope = moreau_envelope(scores + shift, delta, sd, p, link)
        if Q is None:
            Q = problem.inverse_hessian(envelope.at(scores + shift)[1].mean(1))
        theta, scores, moved = problem.descend(Q, envelope, shift, theta, scores)
        new = problem.heads(theta, scores, shift, envelope, delta)
        if _gap(new, delta, sd, moved / (1 + scores.square().mean().sqrt()), counts) <= TOL:
            return new
        Q, delta, beta, sd = new.Q, new.delta, new.beta, new.sd
    raise problem.unsolved()


def _gap(new: LogisticMean, delta: Tensor, sd: Tensor, moved: Tensor, counts: Tensor) -> float:
    """Largest relative change of δ of rows that can be drawn, of s and of scores."""
    drawn = (counts > 0)[new.features.codes]
    gaps = (
        (new.delta / delta).log()[drawn].abs().max(),
        (new.sd - sd).abs().max() / (new.sd.max() + TOL),
        moved,
    )
    return max(float(gap) for gap in gaps)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Draws of n images, and heads on them.

    Of each row (N,): p probability of being drawn; weight n_g/(n N_g) of equation 16; own_weight
    p/n, 0 where rows represent a distribution; noise √((1 − p) n_g/(N_g − 1))/n.
    """

    features: GroupedFeatures
    targets: Tensor
    l2: float
    n: Tensor
    p: Tensor
    weight: Tensor
    own_weight: Tensor
    noise: Tensor

    def inverse_hessian(self, curvature: Tensor) -> Tensor:
        """Q of equation 18 for the curvature (N,) of each row."""
        x = self.features.x32
        A = (x.T @ ((self.weight * curvature).float()[:, None] * x)).to(self.features.x)
        A.diagonal().add_(self.features.penalty(self.l2))
        root, failed = torch.linalg.cholesky_ex(A)
        if int(failed):
            raise self.unsolved()
        return torch.cholesky_solve(torch.eye(len(A)).to(A), root)

    def descend(
        self, Q: Tensor, envelope: MoreauEnvelope, shift: Tensor, theta: Tensor, scores: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Conjugate steps of all S heads towards equation 16, preconditioned by Q.

        Returns theta, scores and the r.m.s. last step of the scores.
        """
        x, penalty = self.features.x, self.features.penalty(self.l2)
        direction = before = torch.zeros_like(theta)
        last = torch.full_like(theta[0], torch.inf)
        for _ in range(DESCENT):
            value, curvature = envelope.at(scores + shift)
            slope = self.weight[:, None] * (value - self.targets)
            gradient = penalty[:, None] * theta + x.T @ slope
            push = Q @ gradient
            turn = ((gradient * (push - before)).sum(0) / last).clamp(min=0)  # Polak and Ribiere's
            direction = turn * direction - push
            before, last = push, (gradient * push).sum(0).clamp(min=1e-300)
            along = x @ direction
            bend = penalty @ direction**2 + self.weight @ (curvature * along**2)
            step = -(gradient * direction).sum(0) / bend.clamp(min=1e-300)
            theta, change = theta + step * direction, step * along
            scores = scores + change
        return theta, scores, change.square().mean().sqrt()

    def heads(
        self,
        theta: Tensor,
        scores: Tensor,
        shift: Tensor,
        envelope: MoreauEnvelope,
        last_delta: Tensor,
    ) -> LogisticMean:
        """Equations 17-21 at mean heads theta; the amplitude of noise follows from last_delta."""
        features, n, own_weight = self.features, self.n, self.own_weight
        value, curvature = envelope.at(scores + shift)
        slope, curvature = value - self.targets, curvature.mean(1)
        x32, mean_slope = features.x32, slope.mean(1)
        Q = self.inverse_hessian(curvature)
        XQ = x32 @ Q.float()
        leverage = torch.linalg.vecdot(XQ, x32).to(features.x)
        loo = 1 - own_weight * curvature * leverage
        delta = leverage / n / loo.clamp(min=1e-6)
        # One more of a group takes the place of another, of the average effect.
        mean_effect = (features.group_weights * mean_slope) @ features.x
        beta = (XQ @ mean_effect.T.float()).to(features.x)
        beta = beta.gather(1, features.codes[:, None])[:, 0] / n
        amplitude = self.noise * (1 + self.p * last_delta * curvature)
        own = torch.where(own_weight > 0, leverage, 0.0)
        energy = amplitude**2 * ((slope**2).mean(1) + envelope.variance)
        score_variance = self._score_variance(XQ, amplitude * mean_slope, energy)
        sd = ((score_variance - own**2 * energy) / loo**2).clamp(min=0).sqrt()
        without = scores + self.p[:, None] * (delta[:, None] * slope - beta[:, None])
        return LogisticMean(features, theta, without, Q, XQ, delta, beta, sd, amplitude, loo, own)

    def _score_variance(self, XQ: Tensor, mean_noise: Tensor, energy: Tensor) -> Tensor:
        """(N,) x_iᵀVx_i of equation 20."""
        features = self.features
        B = features.x32.T @ (energy.float()[:, None] * features.x32)
        common = (features.group_weights * mean_noise) @ features.x
        common = common * features.n_rows.to(features.x).sqrt()[:, None]
        B -= (common.T @ common).float()
        variance: Tensor = torch.linalg.vecdot(XQ @ B, XQ)
        return variance.to(features.x)

    def unsolved(self) -> InputError:
        return InputError(
            f"l2={self.l2:g} with {int(self.n)} images and {self.features.x.shape[1] - 1} features:"
            f" the fixed point was not reached in {MAX_STEPS} steps, too close to separable; "
            "raise l2"
        )


def _problem(features: GroupedFeatures, counts: Tensor, l2: float, targets: Tensor) -> _Problem:
    p_g, codes = inclusion_probabilities(features, counts), features.codes
    counts, rows = counts.to(features.x), features.n_rows.to(features.x)
    n, p = counts.sum(), p_g[codes]
    noise = ((1 - p_g) * counts / n**2 / (rows - 1).clamp(min=1)).sqrt()[codes]
    return _Problem(
        features,
        targets,
        l2,
        n,
        p,
        (counts / n / rows.clamp(min=1))[codes],
        torch.where(torch.isfinite(features.sizes[codes]), p / n, 0.0),
        noise,
    )
