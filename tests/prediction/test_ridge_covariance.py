"""Equation 8 solved: both of its sides, one row at a time, and with few landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from worlds import THREE, TWO, images

from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups
from w2s_groups.prediction import population as population_module
from w2s_groups.prediction.population import Population, population
from w2s_groups.prediction.ridge_covariance import (
    ResidualCovariance,
    residual_covariance,
    residual_variance,
    square_root,
)
from w2s_groups.prediction.ridge_mean import mean_response, sampling_design

L2 = 0.01


def solved(
    people: Population, share: float
) -> tuple[ResidualCovariance, torch.Tensor, torch.Tensor]:
    """Covariance over draws of `share` of the groups, residuals of the targets, their variances."""
    features = people.teacher
    counts = (people.sizes * share * torch.linspace(0.5, 1, people.n_groups)).round().long()
    r = mean_response(features, sampling_design(features, counts), L2)
    s = residual_covariance(r)
    fitted = features.x @ r.Q @ (features.x.T @ (r.w[:, None] * people.targets))
    residual = ((people.targets - fitted) / s.loo_divisor[:, None])[:, None, None]
    return s, residual, residual_variance(s, residual.float()).double()


@pytest.mark.parametrize("groups", [TWO, THREE])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_both_sides_of_the_equation_agree(groups: Groups, share: float) -> None:
    people = population(*images(60, groups, "pool"), groups)
    s, residual, variance = solved(people, share)
    r, codes = s.response, people.codes
    K = residual.shape[-1]
    square = residual[:, 0, 0, :, None] * residual[:, 0, 0, None, :]
    cross = people.teacher.x @ r.Q @ people.teacher.x.T
    for i in (0, 70, 239):
        # The variance of all heads' score of row i, by the noise of every row ...
        own = torch.zeros(K, K, dtype=torch.float64)
        for g in range(groups.n_groups):
            rows = codes == g
            amplitude = s.amplitude[rows]
            reach = (amplitude * cross[i, rows]) ** 2
            own += torch.einsum("n,nkl->kl", reach, square[rows] + variance[rows, 0])
            common = (amplitude * cross[i, rows]) @ residual[rows, 0, 0]
            own -= torch.outer(common, common) / rows.sum()
        # ... and by what one draw in p does to the row's own residual.
        p, shrunk = r.sampling.inclusion[i], r.delta[i] / (1 + r.delta[i])
        factor = torch.stack([torch.ones(()).double(), 1 - shrunk])
        chance = torch.stack([1 - p, p])
        mean, mean_square = chance @ factor, chance @ factor**2
        want = mean_square * variance[i, 0] + square[i] * (mean_square - mean**2)
        np.testing.assert_allclose(want, own, atol=1e-5 * float(square.abs().mean()))


def test_landmarks_represent_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = images(400, TWO, "pool")
    _, _, every = solved(population(*pool, TWO), 0.2)
    monkeypatch.setattr(population_module, "N_LANDMARKS", 400)
    people = population(*pool, TWO)
    s, _, few = solved(people, 0.2)
    assert s.transfer.shape == (1600, 400)
    means = [people.teacher.group_weights @ v[:, 0, 0, 0] for v in (every, few)]
    np.testing.assert_allclose(means[1], means[0], rtol=0.05)


def test_heads_without_a_finite_variance_are_refused() -> None:
    people = population(*images(60, TWO, "pool", d=24), TWO)
    endless = torch.full((4,), torch.inf, dtype=torch.float64)
    features, counts = replace(people.student, sizes=endless), torch.tensor([12, 12, 12, 12])
    r = mean_response(features, sampling_design(features, counts), 1e-7)
    with pytest.raises(InputError, match=r"48 images on 48 features.*; raise l2 or n"):
        residual_covariance(r)


def test_the_root_squares_to_the_matrix() -> None:
    A = torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    matrix = A @ A.mT
    np.testing.assert_allclose(square_root(matrix) @ square_root(matrix), matrix, atol=1e-9)
