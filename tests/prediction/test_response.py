"""The mean response: exact where it can be, and the classical equation where there is one group."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from worlds import TWO, images

from w2s_groups.errors import InputError
from w2s_groups.heads import grid
from w2s_groups.heads.problem import Problem, Squared, one_hot
from w2s_groups.prediction.population import Population, Side, population
from w2s_groups.prediction.response import TOL, Response, response
from w2s_groups.prediction.spread import spread

ENDLESS = torch.full((4,), torch.inf, dtype=torch.float64)
MIX = torch.tensor([20, 10, 10, 40])


@pytest.fixture(scope="module")
def pool() -> Population:
    return population(*images(60, TWO, "pool"), TWO)


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    """To ten times what the fixed point is solved to."""
    assert float((one - other).abs().max()) <= 10 * TOL * float(other.abs().max())


def mean_head(side: Side, r: Response, targets: torch.Tensor) -> torch.Tensor:
    return r.Q @ (side.x.T @ ((r.W @ side.member)[:, None] * targets))


def test_the_whole_pool_has_one_head_and_no_spread(pool: Population) -> None:
    narrow, wide, codes = images(60, TWO, "pool")
    sides = {"teacher": narrow, "student": wide}
    targets = one_hot(TWO.class_of[codes], 2)
    rows = np.arange(len(codes))
    (head,) = grid.solve(sides, [Problem("student", rows, targets, Squared(), 0.01)], tol=1e-10)
    r = response(pool.student, torch.full((4,), 60), pool.sizes, 0.01, pool.names)
    assert float(r.kappa.abs().max()) == 0.0
    found = mean_head(pool.student, r, pool.targets)[:, 0].numpy()
    np.testing.assert_allclose(found, np.append(head.coef[:, 0], head.intercept), atol=1e-7)


def test_rows_without_themselves_are_those_of_a_fit_without_them(pool: Population) -> None:
    r = response(pool.teacher, torch.full((4,), 60), pool.sizes, 0.01, pool.names)
    s = spread(pool.teacher, pool.codes, r)
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
    r = response(pool.student, many, ENDLESS, 0.3, pool.names)
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
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 48)) * np.sqrt(3.0 / (1 + np.arange(48)))
    x -= x.mean(axis=0)  # then the intercept stands apart
    rows = torch.as_tensor(np.column_stack([x, np.ones(400)]))
    side = Side(rows, torch.full((1, 400), 1 / 400, dtype=torch.float64))
    endless = torch.tensor([torch.inf], dtype=torch.float64)
    r = response(side, torch.tensor([n]), endless, 0.02, ["all"])
    values = np.linalg.eigvalsh(x.T @ x / 400)
    # κ = l2 + κ (1/n) Σ λ/(λ + κ), and c = l2/κ
    kappa = brentq(
        lambda k: k - 0.02 - k / n * np.sum(values / (values + k)), 0.02, 100, xtol=1e-14
    )
    assert float(r.W[0]) == pytest.approx(0.02 / kappa, rel=1e-5)


def test_a_group_split_in_two_equal_ones_changes_nothing() -> None:
    rows = images(60, TWO, "pool")[1].astype(np.float64)
    x = torch.as_tensor(np.column_stack([np.concatenate([rows, rows[:60]]), np.ones(300)]))

    def side(codes: np.ndarray) -> Side:
        mask = torch.as_tensor(codes == np.arange(codes.max() + 1)[:, None]).double()
        return Side(x, mask / mask.sum(1, keepdim=True))

    code = np.repeat(np.arange(4), 60)
    whole = response(
        side(np.append(code, np.zeros(60, dtype=int))), MIX, torch.tensor([120.0, 60, 60, 60]),
        0.01, TWO.names,
    )  # fmt: skip
    half = response(
        side(np.append(code, np.full(60, 4))), torch.tensor([10, 10, 10, 40, 10]),
        torch.tensor([60.0] * 5), 0.01, [*TWO.names, "again"],
    )  # fmt: skip
    assert_same(whole.Q, half.Q)
    assert float(half.W[0] + half.W[4]) == pytest.approx(float(whole.W[0]), rel=1e-5)


def test_groups_can_come_in_any_order(pool: Population) -> None:
    order = torch.tensor([2, 0, 3, 1])
    one = response(pool.student, MIX, pool.sizes, 0.01, pool.names)
    side = Side(pool.student.x, pool.student.member[order])
    other = response(side, MIX[order], pool.sizes, 0.01, [TWO.names[i] for i in order])
    assert_same(other.Q, one.Q)
    np.testing.assert_allclose(other.W, one.W[order], rtol=1e-5, atol=0)


def test_a_large_pool_is_an_endless_one(pool: Population) -> None:
    large = response(pool.student, MIX, torch.full((4,), 1e9).double(), 0.01, pool.names)
    endless = response(pool.student, MIX, ENDLESS, 0.01, pool.names)
    assert_same(large.Q, endless.Q)


def test_the_start_changes_nothing_and_absent_groups_have_no_say(pool: Population) -> None:
    mix = torch.tensor([30, 0, 0, 30])
    one = response(pool.student, mix, pool.sizes, 0.01, pool.names)
    two = response(pool.student, mix, pool.sizes, 0.01, pool.names, torch.full((4,), 1e-3).double())
    assert_same(one.Q, two.Q)
    assert one.W[1] == one.W[2] == one.kappa[1] == 0


def test_one_image_of_a_group_is_no_trouble(pool: Population) -> None:
    single = population(*(part[:181] for part in images(60, TWO, "pool")), TWO)
    r = response(single.student, torch.tensor([20, 20, 20, 1]), single.sizes, 0.01, single.names)
    assert bool(torch.isfinite(r.Q).all())


def test_refusals(pool: Population) -> None:
    with pytest.raises(InputError, match=r"61 images of cat-on-right and the pool has 60; lower n"):
        response(pool.student, torch.tensor([5, 61, 5, 5]), pool.sizes, 0.01, pool.names)
    with pytest.raises(
        InputError, match=r"l2=0 leaves heads of 20 images on 48 features undetermined.*; raise l2"
    ):
        response(pool.student, torch.tensor([5, 5, 5, 5]), pool.sizes, 0.0, pool.names)
