"""Scores of sampled heads: the mean over draws, and noise with the covariance of draws.

Shapes: N rows, T points, C cells, S samples, K scores. Equations: docs/prediction.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from w2s_groups.core.seeds import stream
from w2s_groups.prediction.population import Population
from w2s_groups.prediction.ridge_covariance import (
    ResidualCovariance,
    residual_variance,
    square_root,
)


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard normal numbers that all cells share, so that maps are smooth and gains are paired.

    labelled, independent: (N, S) which images a draw selects, with mean 0 in each group; the second
    half of the samples has the signs of the first reversed. residual: (N, S, K). All float32.
    """

    labelled: Tensor
    independent: Tensor
    residual: Tensor


def sample_scores(
    covariance: ResidualCovariance,
    targets: Tensor,
    selected: Tensor,
    noise: Noise,
    points_Q: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Scores (N, C, S, K) of every row without itself, and (T, C, S, K) at the points.

    targets: (N, C, S, K), or (N, C, 1, K) where all samples have the same. selected: (N, C, S)
    noise ζ of the selection. points_Q: (T, d + 1) points times Q. Source: docs/prediction.md, 4.
    """
    response = covariance.response
    x, XQ = response.features.x32, response.XQ
    loo, own, w = (
        values.float()[:, None]
        for values in (covariance.loo_divisor, covariance.own_leverage, response.w)
    )
    weighted = x.T @ (w * targets.flatten(1).float())
    residual = ((targets.flatten(1) - XQ @ weighted) / loo).float().reshape(targets.shape)
    root = square_root(residual_variance(covariance, residual))
    deviation = torch.einsum("nckl,nsl->ncsk", root, noise.residual)
    amplitude = covariance.amplitude.float()[:, None, None]
    e = (residual + deviation) * (amplitude * selected)[..., None]
    x_e = x.T @ e.flatten(1)
    change = ((XQ @ x_e - own * e.flatten(1)) / loo).reshape(e.shape)
    without = targets.float() - residual + change
    if points_Q is None:
        return without, None
    mean = (points_Q @ weighted).reshape(len(points_Q), *targets.shape[1:])
    return without, mean + (points_Q @ x_e).reshape(len(points_Q), *e.shape[1:])


def sample_noise(population: Population, samples: int, seed: int) -> Noise:
    """Noise of S = samples, an even number, for every mix of a population."""
    features, (N, K) = population.teacher, population.targets.shape

    def normal(name: str, *shape: int) -> Tensor:
        values = stream(seed, f"predict/{name}").standard_normal(shape)
        return torch.as_tensor(values, device=features.x.device)

    def mirrored(name: str) -> Tensor:
        half = normal(name, N, samples // 2)
        half -= (features.group_weights @ half)[population.codes]  # group counts are fixed
        return torch.cat([half, -half], dim=1).float()

    half = normal("rows", N, samples // 2, K)
    return Noise(mirrored("labelled"), mirrored("unlabelled"), torch.cat([half, half], 1).float())


def correlated_noise(noise: Noise, p_l: Tensor, p_u: Tensor, codes: Tensor) -> Tensor:
    """(N, S) noise of an unlabelled set without the labelled images: equation 9.

    p_l, p_u: (G,) inclusion probabilities of the two sets.
    """
    odds = p_l * p_u / ((1 - p_l) * (1 - p_u)).clamp(min=1e-12)
    rho = -odds.clamp(max=1).sqrt()[codes, None].to(noise.labelled)
    return rho * noise.labelled + (1 - rho**2).sqrt() * noise.independent
