"""Scores of sampled heads: the mean over draws, and noise with the covariance of draws.

Shapes: N rows, T points, C cells, S samples, K scores. Equations: docs/prediction.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.core.seeds import stream
from w2s_groups.prediction.population import Population
from w2s_groups.prediction.ridge_covariance import Spread, residual_variance, square_root


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard normal numbers that all cells share, so that maps are smooth and gains are paired.

    labelled, fresh (N, S), with mean 0 in each group; row (N, S, K) for residuals. The second half
    of the samples has the signs of labelled and fresh reversed. All float32.
    """

    labelled: Tensor
    fresh: Tensor
    row: Tensor


def sampled_scores(
    s: Spread,
    codes: Tensor,
    targets: Tensor,
    drawn: Tensor,
    noise: Noise,
    seen: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Scores (N, C, S, K) of every row without itself, and (T, C, S, K) at the points.

    targets: (N, C, S, K), or (N, C, 1, K) where they are those of every sample; drawn: (N, C, S) as
    Noise's. seen: (T, d + 1) points times Q. Source: docs/prediction.md, 4.
    """
    x, R = s.response.side.single, s.response.R
    loo, own, w = (values.float()[:, None] for values in (s.loo, s.own, s.response.w))
    pulled = x.T @ (w * targets.flatten(1).float())
    residual = ((targets.flatten(1) - R @ pulled) / loo).float().reshape(targets.shape)
    root = square_root(residual_variance(s, codes, residual))
    wobble = torch.einsum("nckl,nsl->ncsk", root, noise.row)
    e = (residual + wobble) * (s.amplitude.float()[:, None, None] * drawn)[..., None]
    pushed = x.T @ e.flatten(1)
    moved = ((R @ pushed - own * e.flatten(1)) / loo).reshape(e.shape)
    without = targets.float() - residual + moved
    if seen is None:
        return without, None
    mean = (seen @ pulled).reshape(len(seen), *targets.shape[1:])
    return without, mean + (seen @ pushed).reshape(len(seen), *e.shape[1:])


def make_noise(population: Population, samples: int, seed: int) -> Noise:
    """Noise of S = samples, an even number, for every mix of a population."""
    side, (N, K) = population.teacher, population.targets.shape

    def normal(name: str, *shape: int) -> Tensor:
        drawn = stream(seed, f"predict/{name}").standard_normal(shape)
        return torch.as_tensor(drawn, device=side.x.device)

    def paired(name: str) -> Tensor:
        half = normal(name, N, samples // 2)
        half -= (side.member @ half)[population.codes]  # group counts are fixed
        return torch.cat([half, -half], dim=1)

    half = normal("rows", N, samples // 2, K)
    return Noise(
        paired("labelled").float(), paired("unlabelled").float(), torch.cat([half, half], 1).float()
    )


def beside(noise: Noise, p_l: Tensor, p_u: Tensor, codes: Tensor) -> Tensor:
    """(N, S) noise of an unlabelled set that has none of the labelled images: equation 9."""
    odds = p_l * p_u / ((1 - p_l) * (1 - p_u)).clamp(min=1e-12)
    rho = -odds.clamp(max=1).sqrt()[codes, None].to(noise.labelled)
    return rho * noise.labelled + (1 - rho**2).sqrt() * noise.fresh
