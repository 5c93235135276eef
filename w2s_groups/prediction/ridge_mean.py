"""The mean response: the linear map from targets to ridge heads, averaged over draws.

Draws take given numbers of images of each group. Equations by number: docs/prediction.md.
Shapes: N rows, G groups, J landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.population import GroupedFeatures

TOL = 1e-5  # relative change of weights (r.m.s.) at which the fixed point counts as reached
MAX_STEPS = 60
MEMORY = 4  # earlier steps that the next one is mixed from
RENEW = 4  # steps after which elasticities are recomputed
FAR = 1.0  # largest step in the logarithm of leverage: elasticities hold nearby
TINY = 1e-9  # δ that is as good as 0
LARGEST = 1e12  # δ from which on heads follow single images wherever they are


@dataclass(frozen=True, eq=False)
class SamplingDesign:
    """A draw in expectation: n images, of which a share (N,) falls on each row.

    inclusion: (N,) probability p that the row itself is drawn, 0 where rows represent a
    distribution.
    """

    n: float
    share: Tensor
    inclusion: Tensor


@dataclass(frozen=True, eq=False)
class MeanResponse:
    """E[head] = Q Σ_i w_i x_i t_i: a ridge regression on the whole pool with weights w.

    Q: (d + 1, d + 1) mean inverse of H. w, delta: (N,) weights and δ. XQ: (N, d + 1) rows times Q,
    float32. leverage: (N,) xᵢᵀQxᵢ. centred_leverage: (N,) n h_i, that of rows minus the mean of
    their group. group_shares: (G, N) share of each row in the draws from its group. Source:
    equations 2-4.
    """

    features: GroupedFeatures
    sampling: SamplingDesign
    Q: Tensor
    w: Tensor
    delta: Tensor
    XQ: Tensor
    leverage: Tensor
    centred_leverage: Tensor
    group_shares: Tensor

    @cached_property
    def cross_leverage(self) -> Tensor:
        """(N, J) xᵢᵀQxⱼ with the landmarks, float32."""
        return self.XQ @ self.features.x32[self.features.landmarks[0]].T

    @cached_property
    def elasticities(self) -> Tensor:
        """(G, G) −∂ log h_g / ∂ log W_h: by how much leverage falls as weights rise."""
        rows, represented = self.features.landmarks
        shares = self.group_shares.to(self.cross_leverage)
        fall = shares @ self.cross_leverage**2 - (shares @ self.cross_leverage) ** 2
        fall = (fall * (represented * self.w[rows]).to(fall)) @ (shares[:, rows] > 0).to(fall).T
        mean = self.group_shares @ self.centred_leverage
        return fall.to(self.w) / torch.where(mean > 0, mean, 1.0)[:, None]


def inclusion_probabilities(features: GroupedFeatures, counts: Tensor) -> Tensor:
    """(G,) share p_g of each group in a draw of counts (G,) images without replacement.

    InputError where a group has too few images.
    """
    counts, sizes, rows = counts.to(features.x), features.sizes, features.n_rows
    short = (counts > sizes) | ((counts > 0) & (rows == 0))
    if bool(short.any()):
        g = int(short.nonzero()[0])
        raise InputError(
            f"counts ask for {int(counts[g])} images of {features.names[g]} and the pool has "
            f"{int(min(sizes[g], rows[g]))}; lower n, or choose an eta that needs fewer of them"
        )
    return counts / torch.where(counts > 0, sizes, torch.ones_like(sizes))


def sampling_design(features: GroupedFeatures, counts: Tensor) -> SamplingDesign:
    """Draws of counts (G,) images without replacement; InputError where a group has too few."""
    p = inclusion_probabilities(features, counts)
    n = float(counts.sum())
    share = counts.to(features.x) / n / features.n_rows.clamp(min=1)
    return SamplingDesign(n, share[features.codes], p[features.codes])


def mean_response(
    features: GroupedFeatures,
    sampling: SamplingDesign,
    l2: float,
    start: MeanResponse | None = None,
    tol: float = TOL,
) -> MeanResponse:
    """Response of heads that minimise (1/n) Σ (score − target)² + l2 ‖θ‖², the intercept free.

    start: the response of another mix of the same rows, which saves steps. InputError where l2 is
    so small that heads have no mean.
    """
    problem = _problem(features, sampling, l2)
    p, shares = sampling.inclusion, problem.group_shares
    delta = torch.ones_like(p) if start is None else _extrapolated(start, sampling, shares)
    elasticities = None if start is None else start.elasticities
    tried: list[tuple[Tensor, Tensor]] = []
    for step in range(1, MAX_STEPS + 1):
        response = problem.response(delta)
        new = _delta(response.centred_leverage / sampling.n, p)
        if not float(new.max()) < LARGEST:
            raise problem.undetermined()
        gap = (1 + (1 - p) * new) / (1 + (1 - p) * delta) - 1
        if float(response.w @ gap**2) <= tol**2 * float(response.w.sum()):
            return response
        if elasticities is None or step % RENEW == 0:
            elasticities = response.elasticities
        proposed = _extrapolated(response, sampling, shares, elasticities)
        tried = [*tried[-MEMORY:], (delta.log(), proposed.log())]
        delta = _anderson_mixed(tried).exp()
    raise InputError(
        f"l2={l2:g} with {int(sampling.n)} images and {features.x.shape[1] - 1} features: the "
        f"fixed point was not reached in {MAX_STEPS} steps, too close to interpolation; raise l2"
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """Equations 2-3 for one draw: centre (G, d + 1) the means that δ leaves out."""

    features: GroupedFeatures
    sampling: SamplingDesign
    l2: float
    group_shares: Tensor
    centre: Tensor

    def response(self, delta: Tensor) -> MeanResponse:
        """Weights of equation 3 for delta (N,), and what follows from them."""
        features, sampling = self.features, self.sampling
        x, x32, codes = features.x, features.x32, features.codes
        w = sampling.share / (1 + (1 - sampling.inclusion) * delta)
        Q = self.inverse(w)
        XQ = x32 @ Q.float()
        leverage = torch.linalg.vecdot(XQ, x32).to(x)
        centre_Q = self.centre @ Q
        across = (x @ centre_Q.T).gather(1, codes[:, None])[:, 0]
        centred = leverage - 2 * across + torch.linalg.vecdot(centre_Q, self.centre)[codes]
        return MeanResponse(
            features, sampling, Q, w, delta, XQ, leverage, centred.clamp(min=0), self.group_shares
        )

    def inverse(self, w: Tensor) -> Tensor:
        """Q of equation 2."""
        features = self.features
        mean = features.group_weights @ w
        A = (mean * features.n_rows) @ features.second_moments.flatten(1)
        A = A.view_as(features.second_moments[0])
        uneven = (w - mean[features.codes]).float()
        if bool(uneven.any()):  # small against the rest, so that float32 suffices
            A += features.x32.T @ (uneven[:, None] * features.x32)
        A.diagonal().add_(features.penalty(self.l2))
        root, failed = torch.linalg.cholesky_ex(A)
        if int(failed) or not float(root.diagonal().min()) > 1e-7 * float(root.diagonal().max()):
            raise self.undetermined()
        # cholesky_inverse is LAPACK's potri, twenty times slower than this on two threads.
        return torch.cholesky_solve(torch.eye(len(A)).to(A), root)

    def undetermined(self) -> InputError:
        return InputError(
            f"l2={self.l2:g} leaves heads of {int(self.sampling.n)} images on "
            f"{self.features.x.shape[1] - 1} features undetermined: images too few or covariances "
            "of too low a rank; raise l2"
        )


def _problem(features: GroupedFeatures, sampling: SamplingDesign, l2: float) -> _Problem:
    shares = torch.zeros_like(features.group_weights)
    shares = shares.scatter_(0, features.codes[None], sampling.share[None])
    shares /= shares.sum(1, keepdim=True).clamp(min=1e-300)
    # Group counts are fixed, so what all images of a group share is drawn with any of them.
    centre = torch.where(shares.any(1)[:, None], shares @ features.x, features.group_means)
    return _Problem(features, sampling, l2, shares, centre)


def _delta(h: Tensor, p: Tensor) -> Tensor:
    """Root δ >= 0 of (1 − p)δ² + (1 − h)δ − h = 0, written so that p → 1 stays exact: eq. 4."""
    half = 1 - h
    return 2 * h / (half + torch.sqrt(half**2 + 4 * (1 - p) * h))


def _extrapolated(
    response: MeanResponse,
    sampling: SamplingDesign,
    group_shares: Tensor,
    elasticities: Tensor | None = None,
) -> Tensor:
    """(N,) δ of a mix from the response at other weights.

    The fixed point with the leverage of each group a power of every group's weight, exponents by
    elasticity: Newton's step in one number a group. Its error is of second order.
    """
    elasticities = response.elasticities if elasticities is None else elasticities
    log_scale = torch.zeros_like(elasticities[0])
    before = response.group_shares.ne(0).to(response.w) @ response.w
    there = group_shares.ne(0).to(log_scale)
    for _ in range(200):
        h = response.centred_leverage * (log_scale.exp() @ there) / sampling.n
        delta = _delta(h, sampling.inclusion)
        after = there @ (sampling.share / (1 + (1 - sampling.inclusion) * delta))
        both = (before > 0) & (after > 0)
        ratio = torch.where(both, after / torch.where(both, before, 1.0), 1.0)
        new = -(elasticities @ ratio.log()).clamp(-FAR, FAR)
        if float((new - log_scale).abs().max()) < 1e-9:
            break
        log_scale = new
    return delta.clamp(min=TINY)


def _anderson_mixed(tried: list[tuple[Tensor, Tensor]]) -> Tensor:
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
