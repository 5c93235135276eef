"""Scores of sampled heads against ridge heads fitted on draws without replacement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from worlds import THREE, TWO, images

from w2s_groups.design.groups import Groups
from w2s_groups.prediction.population import points, population
from w2s_groups.prediction.ridge_covariance import residual_covariance
from w2s_groups.prediction.ridge_mean import mean_response, sampling_design
from w2s_groups.prediction.ridge_samples import correlated_noise, sample_noise, sample_scores

SIZE, DRAWS, SAMPLES = 200, 300, 800
L2 = 0.05


def moments(
    share: float, groups: Groups, samples: int = SAMPLES
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Predicted and fitted scores (T, S) and (T, D) of the first target; of the pool's rows too.

    A draw takes `share` of the groups with a = y and half of that of the others.
    """
    pool, at = images(SIZE, groups, "pool"), images(20, groups, "points")
    people, seen = population(*pool, groups), points(*at, groups)
    majority = ~groups.is_minority
    counts = np.where(majority, share * SIZE, share * SIZE / 2).round().astype(int)
    r = mean_response(people.teacher, sampling_design(people.teacher, torch.as_tensor(counts)), L2)
    noise = sample_noise(people, samples, 0)
    own, there = sample_scores(
        residual_covariance(r), people.targets[:, None, None], noise.labelled[:, None], noise,
        (seen.teacher @ r.Q).float(),
    )  # fmt: skip
    assert there is not None
    x, t = people.teacher.x.numpy(), people.targets.numpy()
    rng = np.random.default_rng(0)
    penalty = L2 * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    fitted, without = [], np.full((len(x), DRAWS), np.nan)
    for k in range(DRAWS):
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(pool[2] == g))[:m] for g, m in enumerate(counts)]
        )
        A = x[rows]
        theta = np.linalg.solve(A.T @ A / len(A) + penalty, A.T @ t[rows] / len(A))
        fitted.append(seen.teacher.numpy() @ theta)
        out = np.setdiff1d(np.arange(len(x)), rows)
        without[out, k] = (x[out] @ theta)[:, 0]
    return (
        there[:, 0, :, 0].numpy(),
        np.stack(fitted, axis=1)[..., 0],
        own[:, 0, :, 0].numpy(),
        without,
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_draws_without_replacement(share: float) -> None:
    predicted, fitted, own, without = moments(share, TWO)
    sd = fitted.std(axis=1)
    off = (predicted.mean(axis=1) - fitted.mean(axis=1)) / sd
    # Means of the points agree to the error of the fitted ones; the points are correlated.
    assert np.sqrt((off**2).mean()) < 2 / np.sqrt(DRAWS)
    ratio = predicted.var(axis=1).mean() / fitted.var(axis=1).mean()
    # A variance from D draws is uncertain by √(2/D); with ten of a group, by its own error too.
    few = 0.05 if share < 0.2 else 0.0
    assert abs(ratio - 1) < 2 * np.sqrt(2 / DRAWS) / 2 + few
    # With replacement the variance would not fall with 1 − p.
    often = np.isfinite(without).sum(axis=1) >= 20
    error = np.nanstd(without[often], axis=1) / np.sqrt(np.isfinite(without[often]).sum(axis=1))
    left = (own[often].mean(axis=1) - np.nanmean(without[often], axis=1)) / error
    assert np.sqrt((left**2).mean()) < 1.3


def test_columns_of_three_classes_are_predicted_alike() -> None:
    predicted, fitted, *_ = moments(0.2, THREE, 300)
    off = (predicted.mean(axis=1) - fitted.mean(axis=1)) / fitted.std(axis=1)
    assert np.sqrt((off**2).mean()) < 2 / np.sqrt(DRAWS)
    ratio = predicted.var(axis=1).mean() / fitted.var(axis=1).mean()
    assert abs(ratio - 1) < np.sqrt(2 / DRAWS) + 0.05


def test_unlabelled_noise_is_that_of_images_that_are_not_labelled() -> None:
    people = population(*images(50, TWO, "pool"), TWO)
    noise = sample_noise(people, 2000, 0)
    p_l = torch.tensor([0.1, 0.5, 0.3, 0.0]).double()
    p_u = torch.tensor([0.6, 0.5, 0.7, 0.9]).double()
    drawn = correlated_noise(noise, p_l, p_u, people.codes)
    product = people.teacher.group_weights @ (noise.labelled * drawn).mean(dim=1).double()
    want = -torch.sqrt(p_l * p_u / ((1 - p_l) * (1 - p_u)))
    # Where labelled and unlabelled together are all, one set determines the other: correlation −1.
    assert want[1] == want[2] == -1 or float((want[1:3] + 1).abs().max()) < 1e-9
    np.testing.assert_allclose(product, want * (1 - 1 / 50), atol=0.02, rtol=0)
    assert float((people.teacher.group_weights @ drawn.double()).abs().max()) < 1e-6
