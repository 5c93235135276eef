"""Lazy and rich training of the same network: Chizat's scale, the linearised model, anchors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_network import ROWS, N, features_of, logits, make_side, problem, tuner
from torch import Tensor, nn

from w2s_groups.finetuning import Anchored, Full, Subspace
from w2s_groups.finetuning.displaced import Displaced, Tangent, valued
from w2s_groups.finetuning.side import Side
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.heads.training import Schedule
from w2s_groups.kernel.buckets import Buckets
from w2s_groups.kernel.gradients import used_among

# As many steps as it takes to get to the minimum, all rows in each.
WHOLE = Anchored("anchored", 500, 24, 0.03, 1e6, anchor=0.5)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    made = make_side(tmp_path_factory.mktemp("images"))
    made.pixels.room = N  # every image is read once
    return made


@pytest.fixture(scope="module")
def features(side: Side) -> dict[str, NDArray[np.float32]]:
    return features_of(side)


def kernel_solution(
    side: Side, features: dict[str, NDArray[np.float32]], asked: Problem
) -> NDArray[np.float64]:
    """(N,) logits of the logistic head on (h, ∇f): the kernel's solution, by another solver.

    The head on frozen features is f(x|θ0) and part of it: h w0 + h δ is h w.
    """
    (start,) = solve(features, [asked], tol=1e-8)
    assert isinstance(start, Head)
    body, x = side.network(), side.pixels(np.arange(N))
    w = torch.tensor(start.coef[:, 0] * side.scale, dtype=torch.float32)
    gradients = []
    for row in x:
        plain = ((row.float() - 120) / 60).permute(2, 0, 1)[None]
        found = torch.autograd.grad((body(plain) @ w).sum(), list(body.parameters())[:-2])
        gradients.append(torch.cat([g.flatten() for g in found]).numpy())
    both = np.hstack([features["student"], np.stack(gradients)])
    (head,) = solve({"student": both}, [asked], tol=1e-8)
    return head.logits(both, np.arange(N))[:, 0]


def test_at_a_large_scale_fine_tuning_ends_at_the_solution_of_the_kernel(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    """To 1.5e-3 of a logit at α = 1000, and with an error that falls as 1/α; not at α = 1."""
    asked = problem(l2=WHOLE.anchor)
    expected, gaps = kernel_solution(side, features, asked), []
    for scale in (1.0, 100.0, 1000.0):
        (found,) = tuner(side, tmp_path, replace(WHOLE, scale=scale))(features, [asked])
        gaps.append(np.abs(logits(found, features["student"])[:, 0] - expected).max())
    assert gaps[0] > 1
    assert gaps[2] < 1.5e-3
    assert 5 < gaps[1] / gaps[2] < 20


def two_layers(width: int) -> nn.Sequential:
    """f(x) = aᵀ tanh(W x / √3) / √width on 3 inputs, all weights of variance 1."""
    generator = torch.Generator().manual_seed(0)

    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.T / self.in_features**0.5

    layers = (Scaled(3, width, False), nn.Tanh(), Scaled(width, 1, False))
    for layer in (layers[0], layers[2]):
        nn.init.normal_(layer.weight, generator=generator)
    return nn.Sequential(*layers)


def test_the_linearised_model_of_a_wide_network_is_the_trained_one() -> None:
    """Widths 64 to 4,096; the gap between the two falls as 1/√width."""
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.normal(size=(40, 3))).float()
    y = (X[:, 0] * X[:, 1] > 0).long().numpy()
    asked = Problem("student", np.arange(30), one_hot(y[:30], 2), CrossEntropy(), 0.0, seed=1)
    gaps = []
    for width in (64, 512, 4096):
        trained, still = two_layers(width), two_layers(width)
        schedule = Schedule(40, 30, 2.0 / width**0.5)  # a step of Adam moves every weight by lr
        rich = Displaced(asked, lambda at, net=trained: net(X[at]), [], schedule,
                         direct=list(trained.parameters()))  # fmt: skip
        tangent = Tangent(still, still.parameters())

        def logits(at: NDArray[np.int64]) -> Tensor:
            moved = tangent(X[at], lazy.delta)  # noqa: B023 (called before the loop goes on)
            return valued(still(X[at]), lambda f: f + moved)  # noqa: B023

        lazy = Displaced(asked, logits, [], schedule, moves=False, direct=list(still.parameters()))
        for _ in zip(rich.run(), lazy.run(), strict=True):
            pass
        with torch.no_grad():
            start, linear = still(X[30:]), still(X[30:]) + tangent(X[30:], lazy.delta)
            gaps.append(float((trained(X[30:]) - linear).norm() / (linear - start).norm()))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.05 < gaps[0]


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_a_displacement_of_all_weights_is_plain_training(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path, scale: float
) -> None:
    """Adam of δ at α = 1 is Adam of θ, and at α it is another fit."""
    settings = Full("full", 2, 8, 1e-2, 1e6)
    (plain,) = tuner(side, tmp_path, settings)(features, [problem()])
    (found,) = tuner(side, tmp_path, replace(settings, scale=scale))(features, [problem()])
    gap = np.abs(logits(plain, features["student"]) - logits(found, features["student"])).max()
    assert gap < 1e-6 if scale == 1 else gap > 1e-2


def test_steps_within_a_subspace_are_those_of_a_plain_loop(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    """P as a matrix, θ0 + P z as a function of z that torch differentiates, the printed Adam."""
    settings = Subspace("subspace", 2, 24, 2.0, 1e6, d=7, search=False)
    asked = problem()
    (found,) = tuner(side, tmp_path, settings)(features, [asked])
    body = side.network()
    names = [name for name, _ in body.named_parameters() if "unused" not in name]
    start = {name: p.detach() for name, p in body.named_parameters()}
    sizes = [start[name].numel() for name in names]
    D = sum(sizes) + 6
    P = Buckets(D, 7, asked.seed, unit=True).up(torch.eye(7)).T
    torch.testing.assert_close(P.norm(dim=0), torch.ones(7))

    def forward(z: Tensor, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        *moved, weight, bias = (P @ z).split([*sizes, 5, 1])
        values = {n: start[n] + m.view_as(start[n]) for n, m in zip(names, moved, strict=True)}
        x = ((side.pixels(rows).float() - 120) / 60).permute(0, 3, 1, 2)
        h = torch.func.functional_call(body, values, (x,))
        h = (h - torch.tensor(side.mean).float()) * torch.tensor(side.scale).float()
        return h @ weight + bias, weight

    z = torch.zeros(7, requires_grad=True)
    first, second = torch.zeros(7), torch.zeros(7)
    schedule = Schedule(2, 24, 2.0 / 7**0.5)
    assert asked.weights is not None
    for step in (1, 2):
        outputs, weight = forward(z, ROWS)
        loss = nn.functional.binary_cross_entropy_with_logits(
            outputs, torch.tensor(asked.targets[:, 1]).float(),
            weight=torch.tensor(asked.weights / asked.weights.mean()).float(),
        ) + asked.l2 / 2 * weight.square().sum()  # fmt: skip
        (g,) = torch.autograd.grad(loss, z)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        root = (second / (1 - 0.999**step)).sqrt() + 1e-8
        with torch.no_grad():
            z -= schedule.rate(step - 1, 24) * first / (1 - 0.9**step) / root
    with torch.no_grad():
        expected = forward(z, np.arange(N))[0].numpy()
    np.testing.assert_allclose(logits(found, features["student"])[:, 0], expected, atol=1e-3)


def test_weights_that_no_output_reads_are_left_out(side: Side) -> None:
    body = side.network()
    found = used_among(body, torch.zeros(1, 3, 8, 8), list(body.parameters()))
    assert len(found) == len(list(body.parameters())) - 2
    assert not {id(p) for p in found} & {id(p) for p in body.unused.parameters()}  # type: ignore[union-attr]


def test_a_tangent_is_the_derivative(side: Side) -> None:
    net = two_layers(20).double()
    x, d = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).double(), 1e-6
    delta = [torch.ones_like(p) for p in net.parameters()]
    moved = Tangent(net, net.parameters())(x, delta)
    with torch.no_grad():
        sides = []
        for sign in (1, -2):
            for p in net.parameters():
                p.add_(sign * d)
            sides.append(net(x))
    torch.testing.assert_close(moved, (sides[0] - sides[1]) / (2 * d), rtol=1e-6, atol=1e-8)
