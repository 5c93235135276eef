"""The mean response: exact where it can be, and the classical equation where there is one group."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from scipy.optimize import brentq
from worlds import TWO, images

from w2s_groups.core.errors import InputError
from w2s_groups.heads import solve
from w2s_groups.heads.problem import Problem, Squared, one_hot
from w2s_groups.prediction.population import Population, Side, population
from w2s_groups.prediction.ridge_covariance import spread
from w2s_groups.prediction.ridge_mean import TOL, Response, draws, response

ENDLESS = torch.full((4,), torch.inf, dtype=torch.float64)
MIX = torch.tensor([20, 10, 10, 40])


@pytest.fixture(scope="module")
def pool() -> Population:
    return population(*images(60, TWO, "pool"), TWO)


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    """To ten times what the fixed point is solved to."""
    assert float((one - other).abs().max()) <= 10 * TOL * float(other.abs().max())


def mean_head(side: Side, r: Response, targets: torch.Tensor) -> torch.Tensor:
    return r.Q @ (side.x.T @ (r.w[:, None] * targets))


def of(
    side: Side,
    codes: torch.Tensor,
    counts: torch.Tensor,
    sizes: torch.Tensor,
    l2: float,
    near: Response | None = None,
    names: tuple[str, ...] = TWO.names,
) -> Response:
    return response(side, codes, draws(side, codes, counts, sizes, names), l2, near)


def test_the_whole_pool_has_one_head_and_no_spread(pool: Population) -> None:
    narrow, wide, codes = images(60, TWO, "pool")
    sides = {"teacher": narrow, "student": wide}
    targets = one_hot(TWO.class_of[codes], 2)
    rows = np.arange(len(codes))
    (head,) = solve.solve(sides, [Problem("student", rows, targets, Squared(), 0.01)], tol=1e-10)
    r = of(pool.student, pool.codes, torch.full((4,), 60), pool.sizes, 0.01)
    s = spread(pool.codes, pool.sizes, r)
    assert float(s.amplitude.abs().max()) == 0.0
    found = mean_head(pool.student, r, pool.targets)[:, 0].numpy()
    np.testing.assert_allclose(found, np.append(head.coef[:, 0], head.intercept), atol=1e-7)


def test_rows_without_themselves_are_those_of_a_fit_without_them(pool: Population) -> None:
    r = of(pool.teacher, pool.codes, torch.full((4,), 60), pool.sizes, 0.01)
    s = spread(pool.codes, pool.sizes, r)
    theta = mean_head(pool.teacher, r, pool.targets)
    got = (pool.targets - pool.teacher.x @ theta)[:, 0] / s.loo
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
    many = MIX * 10**9
    r = of(pool.student, pool.codes, many, ENDLESS, 0.3)
    share = MIX / MIX.sum()
    x, weight = pool.student.x, share.double() @ pool.student.member
    penalty = 0.3 * torch.eye(x.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0
    theta = torch.linalg.solve(
        x.T @ (weight[:, None] * x) + penalty, x.T @ (weight * pool.targets[:, 0])
    )
    np.testing.assert_allclose(
        mean_head(pool.student, r, pool.targets)[:, 0], theta, rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("n", [30, 49, 200])
def test_one_group_solves_the_classical_equation(n: int) -> None:
    # Rows of one leverage each; the columns' mean is 0, so that the intercept stands apart.
    x = hadamard(64)[:, 1:49] * np.sqrt(3.0 / (1 + np.arange(48)))
    rows = torch.as_tensor(np.column_stack([x, np.ones(64)]))
    side = Side(rows, torch.full((1, 64), 1 / 64, dtype=torch.float64))
    endless = torch.tensor([torch.inf], dtype=torch.float64)
    codes = torch.zeros(64, dtype=torch.int64)
    r = of(side, codes, torch.tensor([n]), endless, 0.02, names=("all",))
    values = np.linalg.eigvalsh(x.T @ x / 64)
    # κ = l2 + κ (1/n) Σ λ/(λ + κ), and c = l2/κ
    kappa = brentq(
        lambda k: k - 0.02 - k / n * np.sum(values / (values + k)), 0.02, 100, xtol=1e-14
    )
    assert float(r.w.sum()) == pytest.approx(0.02 / kappa, rel=1e-5)


def test_a_group_split_in_two_equal_ones_changes_nothing() -> None:
    rows = images(60, TWO, "pool")[1].astype(np.float64)
    x = torch.as_tensor(np.column_stack([np.concatenate([rows, rows[:60]]), np.ones(300)]))

    def side(codes: np.ndarray) -> Side:
        mask = torch.as_tensor(codes == np.arange(codes.max() + 1)[:, None]).double()
        return Side(x, mask / mask.sum(1, keepdim=True))

    code = np.repeat(np.arange(4), 60)
    one, two = np.append(code, np.zeros(60, dtype=int)), np.append(code, np.full(60, 4))
    whole = of(side(one), torch.as_tensor(one), MIX, torch.tensor([120.0, 60, 60, 60]), 0.01)
    half = of(
        side(two), torch.as_tensor(two), torch.tensor([10, 10, 10, 40, 10]),
        torch.tensor([60.0] * 5), 0.01, names=(*TWO.names, "again"),
    )  # fmt: skip
    assert_same(whole.Q, half.Q)
    np.testing.assert_allclose(half.w, whole.w, rtol=1e-5)


def test_groups_can_come_in_any_order(pool: Population) -> None:
    order = torch.tensor([2, 0, 3, 1])
    one = of(pool.student, pool.codes, MIX, pool.sizes, 0.01)
    side, codes = Side(pool.student.x, pool.student.member[order]), order.argsort()[pool.codes]
    other = of(side, codes, MIX[order], pool.sizes, 0.01)
    assert_same(other.Q, one.Q)
    np.testing.assert_allclose(other.w, one.w, rtol=1e-5)


def test_a_large_pool_is_an_endless_one(pool: Population) -> None:
    large = of(pool.student, pool.codes, MIX, torch.full((4,), 1e9).double(), 0.01)
    endless = of(pool.student, pool.codes, MIX, ENDLESS, 0.01)
    assert_same(large.Q, endless.Q)


@pytest.mark.parametrize("l2", [1e-3, 0.01, 1.0])
def test_the_start_changes_nothing_and_absent_groups_have_no_say(
    pool: Population, l2: float
) -> None:
    mix = torch.tensor([30, 0, 0, 30])
    one = of(pool.student, pool.codes, mix, pool.sizes, l2)
    for far in (MIX, torch.tensor([0, 5, 5, 0]), torch.full((4,), 60)):
        near = of(pool.student, pool.codes, far, pool.sizes, 10 * l2)
        two = of(pool.student, pool.codes, mix, pool.sizes, l2, near)
        assert_same(one.Q, two.Q)
    assert float(one.w[(pool.codes == 1) | (pool.codes == 2)].abs().max()) == 0


def test_the_elasticity_is_that_of_leverage(pool: Population) -> None:
    r = of(pool.student, pool.codes, MIX, pool.sizes, 0.01)
    x, codes, step = pool.student.x, pool.codes, 1e-4
    penalty = 0.01 * torch.eye(x.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0

    def leverage(w: torch.Tensor) -> torch.Tensor:
        Q = torch.linalg.inv(x.T @ (w[:, None] * x) + penalty)
        centred = x - pool.student.mean[codes]
        return pool.student.member @ ((centred @ Q) * centred).sum(1)

    for g in range(4):
        up, down = (leverage(r.w * (1 + sign * step * (codes == g))).log() for sign in (1, -1))
        fall = -(up - down) / (2 * step)
        np.testing.assert_allclose(r.elastic[:, g], fall, rtol=1e-3, atol=1e-5)


def test_one_image_of_a_group_is_no_trouble(pool: Population) -> None:
    single = population(*(part[:181] for part in images(60, TWO, "pool")), TWO)
    r = of(single.student, single.codes, torch.tensor([20, 20, 20, 1]), single.sizes, 0.01)
    assert bool(torch.isfinite(r.Q).all())


def test_refusals(pool: Population) -> None:
    with pytest.raises(InputError, match=r"61 images of cat-on-right and the pool has 60; lower n"):
        of(pool.student, pool.codes, torch.tensor([5, 61, 5, 5]), pool.sizes, 0.01)
    with pytest.raises(
        InputError, match=r"l2=0 leaves heads of 20 images on 48 features undetermined.*; raise l2"
    ):
        of(pool.student, pool.codes, torch.tensor([5, 5, 5, 5]), pool.sizes, 0.0)
