"""Predicted logistic heads: exact limits, the squared loss as a special case, and fitted heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from measured_draws import compared_with_draws
from scipy.linalg import hadamard
from worlds import THREE, TWO, fitted, identity, images

from w2s_groups.core.errors import InputError
from w2s_groups.design.sampling import Request, group_counts
from w2s_groups.heads.problem import CrossEntropy, Problem, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.prediction.logistic import predict_logistic, sample_logits
from w2s_groups.prediction.logistic_mean import TOL, logistic_mean
from w2s_groups.prediction.moreau_envelope import logistic
from w2s_groups.prediction.population import GroupedFeatures, Population, points, population
from w2s_groups.prediction.ridge_covariance import residual_covariance, residual_variance
from w2s_groups.prediction.ridge_mean import mean_response, sampling_design
from w2s_groups.prediction.ridge_samples import sample_noise

SIZE = 150
ENDLESS = torch.full((4,), torch.inf, dtype=torch.float64)


@pytest.fixture(scope="module")
def pool() -> Population:
    return population(*images(SIZE, TWO, "pool"), TWO)


@pytest.mark.parametrize("l2", [0.1, 1e-3])
def test_the_whole_pool_has_one_head_and_no_variance(pool: Population, l2: float) -> None:
    narrow, wide, codes = images(SIZE, TWO, "pool")
    targets = one_hot(TWO.class_of[codes], 2)
    whole = Problem("student", np.arange(len(codes)), targets, CrossEntropy(), l2)
    (head,) = solve({"teacher": narrow, "student": wide}, [whole], tol=1e-9)
    c = logistic_mean(pool.student, torch.full((4,), SIZE), l2, pool.targets, logistic)
    assert float(c.amplitude.abs().max()) == float(c.sd.max()) == 0.0
    want = np.append(head.coef[:, 0], head.intercept)
    np.testing.assert_allclose(c.theta[:, 0], want, atol=TOL * abs(want).max())


def test_endless_data_give_the_population_regression(pool: Population) -> None:
    mix, l2 = torch.tensor([40, 10, 10, 20]), 0.01
    narrow, wide, codes = images(SIZE, TWO, "pool")
    weights = (mix / mix.sum()).numpy()[codes] / SIZE
    problem = Problem(
        "student", np.arange(len(codes)), one_hot(TWO.class_of[codes], 2), CrossEntropy(), l2,
        weights,
    )  # fmt: skip
    (head,) = solve({"teacher": narrow, "student": wide}, [problem], tol=1e-9)
    endless = replace(pool.student, sizes=ENDLESS)
    c = logistic_mean(endless, mix * 10**9, l2, pool.targets, logistic)
    want = np.append(head.coef[:, 0], head.intercept)
    np.testing.assert_allclose(c.theta[:, 0], want, atol=TOL * abs(want).max())
    assert float(c.sd.max()) < 1e-3


def alike(share: float) -> tuple[GroupedFeatures, torch.Tensor, torch.Tensor]:
    """Rows of one leverage in each group, and with mean 0: features, targets, counts.

    The last column, free of l2, is one feature among the others.
    """
    rng, d = np.random.default_rng(0), 32
    cross = np.tile(np.concatenate([hadamard(d), -hadamard(d)]), (4, 1))
    x = np.concatenate([scale * cross for scale in (1.0, 0.5, 1.5)])
    codes = torch.arange(3).repeat_interleave(len(cross))
    targets = 0.5 * x @ rng.standard_normal(d) / np.sqrt(d) + rng.standard_normal(len(codes))
    counts = (torch.tensor([1.0, 0.5, 0.25]) * share * len(cross)).round().long()
    sizes = torch.full((3,), len(cross), dtype=torch.float64)
    features = GroupedFeatures(torch.as_tensor(x), codes, sizes, ("a", "b", "c"))
    return features, torch.as_tensor(targets)[:, None], counts


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_squared_loss_gives_the_ridge_theory(share: float) -> None:
    l2 = 0.2
    features, targets, counts = alike(share)
    r = mean_response(features, sampling_design(features, counts), l2)
    c = logistic_mean(features, counts, l2, targets, identity)
    assert float((c.Q - r.Q).abs().max()) < TOL * float(r.Q.abs().max())
    np.testing.assert_allclose(c.delta, r.delta, rtol=TOL)
    theta = r.Q @ (features.x.T @ (r.w[:, None] * targets))
    covariance = residual_covariance(r)
    residual = (targets - features.x @ theta) / covariance.loo_divisor[:, None]
    variance = residual_variance(covariance, residual.float()[:, None, None])[:, 0, 0, 0]
    # Ridge leaves out what the row does whose place another takes, one of n_g; and of the noise of
    # means over a group, the part that a direction shared by its rows takes.
    few = float(2 / counts.min())
    assert float((c.theta - theta).norm()) < few * float(theta.norm())
    want = features.group_weights @ variance.double()
    np.testing.assert_allclose(features.group_weights @ c.sd**2, want, rtol=few)


def teachers(
    narrow: np.ndarray,
    wide: np.ndarray,
    codes: np.ndarray,
    counts: list[int],
    l2: float,
    draws: int,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows of each draw, and (d + 1, draws) the heads that are fitted on them."""
    rng = np.random.default_rng(0)
    rows = [
        np.concatenate(
            [rng.permutation(np.flatnonzero(codes == g))[:m] for g, m in enumerate(counts)]
        )
        for _ in range(draws)
    ]
    heads = solve(
        {"teacher": narrow, "student": wide},
        [
            Problem("teacher", drawn, one_hot(TWO.class_of[codes[drawn]], 2), CrossEntropy(), l2)
            for drawn in rows
        ],
    )
    return rows, np.stack([np.append(head.coef[:, 0], head.intercept) for head in heads], axis=1)


@pytest.mark.parametrize(("share", "l2"), [(0.1, 0.01), (0.5, 0.1), (0.5, 0.003), (0.9, 0.01)])
def test_draws_without_replacement(pool: Population, share: float, l2: float) -> None:
    draws, samples = 200, 400
    narrow, wide, codes = images(SIZE, TWO, "pool")
    seen = points(*images(20, TWO, "points"), TWO)
    counts = np.where(TWO.is_minority, share / 2, share) * SIZE
    counts = counts.round().astype(int)
    c = logistic_mean(pool.teacher, torch.as_tensor(counts), l2, pool.targets, logistic)
    noise = sample_noise(pool, samples, 0)
    own, there = sample_logits(c, pool.targets, noise.labelled, noise, seen.teacher)
    assert there is not None
    rows, theta = teachers(narrow, wide, codes, counts.tolist(), l2, draws)
    measured = seen.teacher.numpy() @ theta
    off = (there.mean(dim=1).numpy() - measured.mean(axis=1)) / measured.std(axis=1)
    # The error of fitted means is 1/√draws; as much again is the theory's.
    assert np.sqrt((off**2).mean()) < 2 / np.sqrt(draws)
    ratio = float(there.var(dim=1).mean()) / measured.var(axis=1).mean()
    few = 0.05 if share < 0.2 else 0.0
    assert abs(ratio - 1) < 2 * np.sqrt(2 / draws) / 2 + few
    without = pool.teacher.x.numpy() @ theta
    for k, drawn in enumerate(rows):
        without[drawn, k] = np.nan
    often = np.isfinite(without).sum(axis=1) >= 15
    error = np.nanstd(without[often], axis=1) / np.sqrt(np.isfinite(without[often]).sum(axis=1))
    left = (own[often].mean(dim=1).numpy() - np.nanmean(without[often], axis=1)) / error
    assert np.sqrt((left**2).mean()) < 1.5


def test_groups_of_two_images(pool: Population) -> None:
    """A row takes another's place in its group: with two of a group, half of their effect."""
    draws, samples, l2 = 300, 600, 0.01
    narrow, wide, codes = images(SIZE, TWO, "pool")
    seen = points(*images(200, TWO, "points"), TWO)
    counts = [18, 2, 2, 18]
    _, theta = teachers(narrow, wide, codes, counts, l2, draws)
    c = logistic_mean(pool.teacher, torch.tensor(counts), l2, pool.targets, logistic)
    noise = sample_noise(pool, samples, 0)
    _, there = sample_logits(c, pool.targets, noise.labelled, noise, seen.teacher)
    assert there is not None
    # The logit's margin on minority images, draw by draw.
    margin = (seen.group_weights[2] - seen.group_weights[1]).numpy()
    predicted, measured = margin @ there.numpy(), margin @ (seen.teacher.numpy() @ theta)
    error = measured.std() / np.sqrt(draws)
    assert abs(predicted.mean() - measured.mean()) < 3 * error


@pytest.mark.parametrize(
    ("request_", "l2"),
    [
        (Request(100, 200, 0.2, 0.35), 0.01),
        (Request(60, 200, 0.5, 0.1), 0.1),
        (Request(100, 300, 0.1, 0.3), 1e-3),
    ],
    ids=["middling l2", "large l2", "small l2"],
)
def test_accuracies_of_fitted_heads(pool: Population, request_: Request, l2: float) -> None:
    draws = 100
    at = images(200, TWO, "points")
    counts_l = group_counts(TWO, [1, 1], request_.n_l, request_.eta_l)[None]
    counts_u = group_counts(TWO, [1, 1], request_.n_u, request_.eta_u)[None]
    P = predict_logistic(pool, counts_l, counts_u, l2, l2, points=points(*at, TWO), samples=100)
    t, s = fitted(images(SIZE, TWO, "pool"), at, TWO, request_, l2, draws, CrossEntropy())
    for metric in ("average", "minority", "worst_group"):
        comparison = compared_with_draws(P, t[:, None], s[:, None, None], metric, TWO)
        for part in (comparison.teacher, comparison.student, comparison.gain):
            # 27 comparisons: three standard errors, not two.
            far = np.maximum(0.01, 3 * part.error)
            assert (abs(part.predicted - part.measured) < far).all(), (metric, part)
            # Share of independent draws inside a band that holds 95 %: four standard errors.
            assert abs(part.covered - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / draws)
    assert bool((comparison.right == comparison.clear).all())


def test_the_same_seed_gives_the_same_samples_whatever_else_is_asked(pool: Population) -> None:
    mixes = np.array([[20, 5, 5, 20], [15, 10, 10, 15]])
    seen = []
    both = predict_logistic(
        pool, mixes, mixes[:1], 0.05, 0.05, samples=8, progress=lambda *done: seen.append(done)
    )
    one = predict_logistic(pool, mixes[1:], mixes[:1], 0.05, 0.05, samples=8)
    # A fixed point is reached to TOL from wherever it was begun.
    np.testing.assert_allclose(both.teacher[1], one.teacher[0], atol=2 / SIZE)
    np.testing.assert_allclose(both.student[1], one.student[0], atol=2 / SIZE)
    assert seen == [(k, 4) for k in range(1, 5)]


def test_refusals(pool: Population) -> None:
    mix = [[20, 5, 5, 20]]
    three = population(*images(20, THREE, "pool"), THREE)
    with pytest.raises(InputError, match=r"3 classes: logistic heads are predicted for two"):
        predict_logistic(three, [[2] * 9], [[2] * 9], 0.1, 0.1)
    with pytest.raises(InputError, match=r"l2_s=0 must be positive and finite"):
        predict_logistic(pool, mix, mix, 0.1, 0)
    with pytest.raises(InputError, match=r"\[20, 20, 0, 0\] has images of one class only"):
        predict_logistic(pool, [[20, 20, 0, 0]], mix, 0.1, 0.1)
    with pytest.raises(InputError, match=r"dog-on-right together and the pool has 150; lower n"):
        predict_logistic(pool, [[20, 5, 5, 100]], [[20, 5, 5, 100]], 0.1, 0.1)
    with pytest.raises(InputError, match="151 images of cat-on-right"):
        logistic_mean(pool.teacher, torch.tensor([5, 151, 5, 5]), 0.1, pool.targets, logistic)
