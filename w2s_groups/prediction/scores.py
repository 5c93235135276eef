"""Scores of sampled heads: the mean over draws, and noise with the covariance of draws.

Shapes: N rows, T points, G groups, S samples, K scores. Equations: docs/prediction.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.prediction.population import Population, Side
from w2s_groups.prediction.spread import Spread, residual_variance, square_root
from w2s_groups.seeds import stream


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard normal numbers that all cells share, so that maps are smooth and gains are paired.

    labelled, fresh (N, S), with mean 0 in each group; row (N, S, K), group (G, S, K) for residuals.
    The second half of the samples has the signs of labelled and fresh reversed.
    """

    labelled: Tensor
    fresh: Tensor
    row: Tensor
    group: Tensor


def sampled_scores(
    side: Side,
    s: Spread,
    targets: Tensor,
    means: Tensor,
    drawn: Tensor,
    noise: Noise,
    codes: Tensor,
    seen: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Scores (N, S, K) of every row without itself, and (T, S, K) at the points.

    means: `group_means` of the targets.
    """
    N, S, K = targets.shape
    x, R = side.single, s.R
    flat = targets.reshape(N, S * K)
    pulled = torch.tensordot(s.response.W.to(means), means, dims=1)
    residual = ((flat - (R @ pulled).to(flat)) / s.loo[:, None]).reshape(N, S, K)
    within, mean = residual_variance(s, side.member, residual)
    wobble = torch.einsum("nskl,nsl->nsk", square_root(within)[codes], noise.row)
    wobble += torch.einsum("gskl,gsl->gsk", square_root(mean), noise.group)[codes]
    e = s.amplitude[codes][:, None, None] * (residual + wobble) * drawn[:, :, None]
    e = e.reshape(N, S * K)
    pushed = x.T @ e.float()
    moved = ((R @ pushed).to(e) - s.own[:, None] * e) / s.loo[:, None]
    loo = targets - residual + moved.reshape(N, S, K)
    at = None if seen is None else (seen @ (pulled + pushed)).reshape(-1, S, K)
    return loo, at


def group_means(side: Side, targets: Tensor) -> Tensor:
    """(G, d + 1, S K) means of x_i t_i over each group, float32: once for all mixes of a side."""
    flat = targets.flatten(1).float()
    found = []
    for weight in side.member.float():
        rows = weight > 0
        found.append((weight[rows, None] * side.single[rows]).T @ flat[rows])
    return torch.stack(found)


def make_noise(population: Population, samples: int, seed: int) -> Noise:
    """Noise of S = samples, an even number, for every mix of a population."""
    side, (N, K), G = population.teacher, population.targets.shape, population.n_groups

    def normal(name: str, *shape: int) -> Tensor:
        drawn = stream(seed, f"predict/{name}").standard_normal(shape)
        return torch.as_tensor(drawn, device=side.x.device)

    def paired(name: str) -> Tensor:
        half = normal(name, N, samples // 2)
        half -= (side.member @ half)[population.codes]  # group counts are fixed
        return torch.cat([half, -half], dim=1)

    def twice(values: Tensor) -> Tensor:
        return torch.cat([values, values], dim=1)

    return Noise(
        paired("labelled"),
        paired("unlabelled"),
        twice(normal("rows", N, samples // 2, K)),
        twice(normal("groups", G, samples // 2, K)),
    )


def beside(noise: Noise, p_l: Tensor, p_u: Tensor, codes: Tensor) -> Tensor:
    """(N, S) noise of an unlabelled set that has none of the labelled images: equation 9."""
    odds = p_l * p_u / ((1 - p_l) * (1 - p_u)).clamp(min=1e-12)
    rho = -odds.clamp(max=1).sqrt()[codes, None]
    return rho * noise.labelled + (1 - rho**2).sqrt() * noise.fresh
