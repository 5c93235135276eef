"""The mean response: exact where it can be, and the classical equation where there is one group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from scipy.optimize import brentq
from worlds import TWO, images

from w2s_groups.core.errors import InputError
from w2s_groups.heads import solve
from w2s_groups.heads.problem import Problem, Squared, one_hot
from w2s_groups.prediction.population import GroupedFeatures, Population, population
from w2s_groups.prediction.ridge_covariance import residual_covariance
from w2s_groups.prediction.ridge_mean import TOL, MeanResponse, mean_response, sampling_design

ENDLESS = torch.full((4,), torch.inf, dtype=torch.float64)
MIX = torch.tensor([20, 10, 10, 40])


@pytest.fixture(scope="module")
def pool() -> Population:
    return population(*images(60, TWO, "pool"), TWO)


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    """To ten times what the fixed point is solved to."""
    assert float((one - other).abs().max()) <= 10 * TOL * float(other.abs().max())


def mean_head(r: MeanResponse, targets: torch.Tensor) -> torch.Tensor:
    return r.Q @ (r.features.x.T @ (r.w[:, None] * targets))


def response(
    features: GroupedFeatures,
    counts: torch.Tensor,
    l2: float,
    start: MeanResponse | None = None,
) -> MeanResponse:
    return mean_response(features, sampling_design(features, counts), l2, start)


def test_the_whole_pool_has_one_head_and_no_variance(pool: Population) -> None:
    narrow, wide, codes = images(60, TWO, "pool")
    sides = {"teacher": narrow, "student": wide}
    targets = one_hot(TWO.class_of[codes], 2)
    rows = np.arange(len(codes))
    (head,) = solve.solve(sides, [Problem("student", rows, targets, Squared(), 0.01)], tol=1e-10)
    r = response(pool.student, torch.full((4,), 60), 0.01)
    assert float(residual_covariance(r).amplitude.abs().max()) == 0.0
    theta = mean_head(r, pool.targets)[:, 0].numpy()
    np.testing.assert_allclose(theta, np.append(head.coef[:, 0], head.intercept), atol=1e-7)


def test_rows_without_themselves_are_those_of_a_fit_without_them(pool: Population) -> None:
    r = response(pool.teacher, torch.full((4,), 60), 0.01)
    theta = mean_head(r, pool.targets)
    got = (pool.targets - pool.teacher.x @ theta)[:, 0] / residual_covariance(r).loo_divisor
    x, y = pool.teacher.x.numpy(), pool.targets[:, 0].numpy()
    penalty = 0.01 * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    for row in (0, 100, 239):
        rest = np.arange(len(x)) != row
        # The others keep their weight 1/n.
        A = x[rest].T @ x[rest] / len(x) + penalty
        left_out = np.linalg.solve(A, x[rest].T @ y[rest] / len(x))
        assert float(got[row]) == pytest.approx(y[row] - x[row] @ left_out, rel=1e-6)


def test_endless_data_give_the_population_ridge(pool: Population) -> None:
    r = response(replace(pool.student, sizes=ENDLESS), MIX * 10**9, 0.3)
    share = MIX / MIX.sum()
    x, weight = pool.student.x, share.double() @ pool.student.group_weights
    penalty = 0.3 * torch.eye(x.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0
    theta = torch.linalg.solve(
        x.T @ (weight[:, None] * x) + penalty, x.T @ (weight * pool.targets[:, 0])
    )
    np.testing.assert_allclose(mean_head(r, pool.targets)[:, 0], theta, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n", [30, 49, 200])
def test_one_group_solves_the_classical_equation(n: int) -> None:
    # Rows of one leverage each; the columns' mean is 0, so that the intercept stands apart.
    x = hadamard(64)[:, 1:49] * np.sqrt(3.0 / (1 + np.arange(48)))
    rows = torch.as_tensor(np.column_stack([x, np.ones(64)]))
    endless = torch.tensor([torch.inf], dtype=torch.float64)
    features = GroupedFeatures(rows, torch.zeros(64, dtype=torch.int64), endless, ("all",))
    r = response(features, torch.tensor([n]), 0.02)
    values = np.linalg.eigvalsh(x.T @ x / 64)
    # κ = l2 + κ (1/n) Σ λ/(λ + κ), and c = l2/κ
    kappa = brentq(
        lambda k: k - 0.02 - k / n * np.sum(values / (values + k)), 0.02, 100, xtol=1e-14
    )
    assert float(r.w.sum()) == pytest.approx(0.02 / kappa, rel=1e-5)


def test_a_group_split_in_two_equal_ones_changes_nothing() -> None:
    rows = images(60, TWO, "pool")[1].astype(np.float64)
    x = torch.as_tensor(np.column_stack([np.concatenate([rows, rows[:60]]), np.ones(300)]))

    code = torch.arange(4).repeat_interleave(60)
    one, two = (torch.cat([code, torch.full((60,), last)]) for last in (0, 4))
    sizes, names = torch.tensor([120.0, 60, 60, 60]), (*TWO.names, "again")
    whole = response(GroupedFeatures(x, one, sizes, TWO.names), MIX, 0.01)
    half = response(
        GroupedFeatures(x, two, torch.tensor([60.0] * 5), names),
        torch.tensor([10, 10, 10, 40, 10]), 0.01,
    )  # fmt: skip
    assert_same(whole.Q, half.Q)
    np.testing.assert_allclose(half.w, whole.w, rtol=1e-5)


def test_groups_can_come_in_any_order(pool: Population) -> None:
    order = torch.tensor([2, 0, 3, 1])
    one = response(pool.student, MIX, 0.01)
    other = response(replace(pool.student, codes=order.argsort()[pool.codes]), MIX[order], 0.01)
    assert_same(other.Q, one.Q)
    np.testing.assert_allclose(other.w, one.w, rtol=1e-5)


def test_a_large_pool_is_an_endless_one(pool: Population) -> None:
    large, endless = (
        response(replace(pool.student, sizes=sizes), MIX, 0.01)
        for sizes in (torch.full((4,), 1e9).double(), ENDLESS)
    )
    assert_same(large.Q, endless.Q)


@pytest.mark.parametrize("l2", [1e-3, 0.01, 1.0])
def test_the_start_changes_nothing_and_absent_groups_have_no_effect(
    pool: Population, l2: float
) -> None:
    mix = torch.tensor([30, 0, 0, 30])
    one = response(pool.student, mix, l2)
    for far in (MIX, torch.tensor([0, 5, 5, 0]), torch.full((4,), 60)):
        two = response(pool.student, mix, l2, response(pool.student, far, 10 * l2))
        assert_same(one.Q, two.Q)
    assert float(one.w[(pool.codes == 1) | (pool.codes == 2)].abs().max()) == 0


def test_the_elasticity_is_that_of_leverage(pool: Population) -> None:
    r = response(pool.student, MIX, 0.01)
    x, codes, step = pool.student.x, pool.codes, 1e-4
    penalty = 0.01 * torch.eye(x.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0

    def leverage(w: torch.Tensor) -> torch.Tensor:
        Q = torch.linalg.inv(x.T @ (w[:, None] * x) + penalty)
        centred = x - pool.student.group_means[codes]
        return pool.student.group_weights @ ((centred @ Q) * centred).sum(1)

    for g in range(4):
        up, down = (leverage(r.w * (1 + sign * step * (codes == g))).log() for sign in (1, -1))
        fall = -(up - down) / (2 * step)
        np.testing.assert_allclose(r.elasticities[:, g], fall, rtol=1e-3, atol=1e-5)


def test_one_image_of_a_group_is_no_trouble(pool: Population) -> None:
    single = population(*(part[:181] for part in images(60, TWO, "pool")), TWO)
    r = response(single.student, torch.tensor([20, 20, 20, 1]), 0.01)
    assert bool(torch.isfinite(r.Q).all())


def test_refusals(pool: Population) -> None:
    with pytest.raises(InputError, match=r"61 images of cat-on-right and the pool has 60; lower n"):
        response(pool.student, torch.tensor([5, 61, 5, 5]), 0.01)
    with pytest.raises(
        InputError, match=r"l2=0 leaves heads of 20 images on 48 features undetermined.*; raise l2"
    ):
        response(pool.student, torch.tensor([5, 5, 5, 5]), 0.0)
