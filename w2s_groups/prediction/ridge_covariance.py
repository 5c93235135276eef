"""Variance of ridge heads over draws, from the residuals of each row.

Equations: docs/prediction.md. Shapes: N rows, J landmarks, G groups, C cells, S samples, K scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.ridge_mean import MeanResponse

FEW = 2  # samples that the common noise of all samples is estimated from


@dataclass(frozen=True, eq=False)
class ResidualCovariance:
    """Equation 8, factorised, for one mean response.

    Of each row (N,): loo_divisor 1 − w_i x_iᵀQx_i, which turns its residual into that of the fit
    without it; own_leverage x_iᵀQx_i where the row can be drawn itself, else 0; amplitude a_i;
    mean_square_factor and factor_variance, E[f²] and Var f without the row's own term. transfer:
    (N, J) squared cross leverages, 0 for a row with itself. cholesky: (J, J) factor of the linear
    system between landmarks.
    """

    response: MeanResponse
    loo_divisor: Tensor
    own_leverage: Tensor
    amplitude: Tensor
    mean_square_factor: Tensor
    factor_variance: Tensor
    transfer: Tensor
    cholesky: Tensor


def residual_covariance(response: MeanResponse) -> ResidualCovariance:
    """ResidualCovariance of heads with this response. Source: equations 5-8.

    InputError where heads are so close to interpolation that they have no finite variance.
    """
    features, p = response.features, response.sampling.inclusion
    sizes, codes, each = features.sizes, features.codes, features.n_rows[features.codes]
    # The weight of a single image: where rows are a sample of the pool, each represents several.
    own_weight = response.w * (each / sizes.clamp(min=1)[codes])
    finite = torch.isfinite(sizes)[codes]
    shrunk = response.delta / (1 + response.delta)
    amplitude = _amplitude(response)
    own_term = (amplitude * response.leverage) ** 2
    mean_square_factor = 1 - p * (1 - (1 - shrunk) ** 2) - own_term
    landmarks, represented = features.landmarks
    transfer = response.cross_leverage**2
    transfer[landmarks, torch.arange(len(landmarks), device=landmarks.device)] = 0.0
    # Symmetric in the variances times their amplitudes.
    scale = (represented.sqrt() * amplitude[landmarks]).to(transfer)
    system = -scale[:, None] * transfer[landmarks] * scale
    system.diagonal().add_(mean_square_factor[landmarks].to(transfer))
    cholesky, failed = torch.linalg.cholesky_ex(system)
    if int(failed):
        raise InputError(
            f"{int(response.sampling.n)} images on {features.x.shape[1] - 1} features leave heads "
            "without a finite variance: too close to interpolation; raise l2 or n"
        )
    return ResidualCovariance(
        response,
        1 - own_weight * response.leverage,
        torch.where(finite, response.leverage, 0.0),
        amplitude,
        mean_square_factor,
        p * (1 - p) * shrunk**2 - own_term,
        transfer,
        cholesky,
    )


def _amplitude(response: MeanResponse) -> Tensor:
    """(N,) a_i of equation 6; N_g is the number of rows, and of images in N_g/(N_g − 1)."""
    features, sampling = response.features, response.sampling
    sizes, codes, each = features.sizes, features.codes, features.n_rows[features.codes]
    count = sampling.n * sampling.share * each
    squared = (1 - sampling.inclusion) * (response.w * each) ** 2
    squared = squared / torch.where(count > 0, count, 1.0)
    bessel = (sizes / (sizes - 1).clamp(min=1))[codes]
    bessel = torch.where(torch.isfinite(sizes)[codes], bessel, 1.0)
    return torch.sqrt(squared / each * bessel)


def residual_variance(covariance: ResidualCovariance, residual: Tensor) -> Tensor:
    """(N, C, K, K) variance over draws of each row's residual under the fit without it, eq. 8.

    residual: (N, C, S, K) mean residuals under that fit, float32; the variance is the mean over S.
    """
    N, C, S, K = residual.shape
    features, amplitude = covariance.response.features, covariance.amplitude.to(residual)
    landmarks, represented = features.landmarks
    square = torch.einsum("ncsk,ncsl->nckl", residual, residual).reshape(N, -1) / S
    energy = amplitude[:, None] ** 2 * square
    minus = _common_noise(covariance, residual)
    minus = minus + covariance.factor_variance.to(residual)[:, None] * square
    source = _on_landmarks(covariance, energy)
    scale = represented.to(residual)[:, None].sqrt() * amplitude[landmarks, None]
    start = scale * (covariance.transfer[landmarks] @ source - minus[landmarks])
    solved = scale * torch.cholesky_solve(start, covariance.cholesky)
    variance = covariance.transfer @ (source + solved) - minus
    variance = variance / covariance.mean_square_factor.to(residual)[:, None]
    return variance.reshape(N, C, K, K)


def _common_noise(covariance: ResidualCovariance, residual: Tensor) -> Tensor:
    """(N, C K K) Σ_g (x_iᵀQc_g)²/N_g of equation 8, from FEW samples: a small correction."""
    features, S = covariance.response.features, residual.shape[2]
    amplitude, in_group = covariance.amplitude.to(residual), one_hot(features.codes).to(residual)
    few = residual[:, :, :: -(-S // FEW)]
    noise = (amplitude[:, None] * few.flatten(1))[:, None] * in_group[:, :, None]
    common = covariance.response.XQ @ (features.x32.T @ noise.flatten(1))
    common = common.reshape(len(residual), -1, *few.shape[1:])
    per_image = 1 / in_group.sum(0).clamp(min=1)
    shared = torch.einsum("ngcsk,ngcsl,g->nckl", common, common, per_image)
    return shared.reshape(len(residual), -1) / few.shape[2]


def _on_landmarks(covariance: ResidualCovariance, energy: Tensor) -> Tensor:
    """(J, C K K) energy (N, C K K) on landmarks, Σ a_j² r̄_j² h_j the same as that of the group."""
    features = covariance.response.features
    landmarks, represented = features.landmarks
    in_group = one_hot(features.codes).to(energy)
    leverage = covariance.response.centred_leverage.to(energy)
    weight = represented.to(energy)[:, None]
    whole = in_group.T @ (leverage[:, None] * energy)
    part = in_group[landmarks].T @ (weight * leverage[landmarks, None] * energy[landmarks])
    ratio = torch.where(part.abs() > 0, whole / torch.where(part.abs() > 0, part, 1.0), 1.0)
    return weight * energy[landmarks] * ratio[features.codes[landmarks]]


def square_root(matrix: Tensor) -> Tensor:
    """(..., K, K) symmetric root of the positive part of a symmetric matrix."""
    if matrix.shape[-1] == 1:
        return matrix.clamp(min=0).sqrt()
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT
    return root
