"""Heads trained by steps, against closed forms, numeric derivatives and themselves."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import reference_losses as losses
import torch
from numpy.typing import NDArray
from reference_heads import fit, gradient_norm, objective_value

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.heads import mlp
from w2s_groups.heads.mlp import Layers, Mlp, first_layers
from w2s_groups.heads.outputs import probabilities
from w2s_groups.heads.problem import (
    ABSENT,
    GCE,
    Confidence,
    CrossEntropy,
    Head,
    Loss,
    Problem,
    Squared,
    one_hot,
)
from w2s_groups.heads.training import Schedule, Training

QUICK = Schedule(epochs=3, batch_size=16, lr=1e-2)


def features(n: int = 80, d: int = 6, seed: int = 0) -> NDArray[np.float32]:
    return stream(seed, "test/mlp").standard_normal((n, d)).astype(np.float32)


def problem(n: int = 60, classes: int = 2, loss: Loss | None = None, seed: int = 0) -> Problem:
    """Soft targets and uneven weights on the first n rows."""
    rng = stream(seed, "test/mlp/problem")
    targets = rng.dirichlet(np.full(classes, 0.5), n)
    weights = rng.uniform(0.1, 2, n)
    return Problem("student", np.arange(n), targets, loss or CrossEntropy(), 0.05, weights)


@pytest.mark.parametrize("classes", [2, 3])
def test_without_a_hidden_layer_it_is_the_logistic_head(classes: int) -> None:
    """Strong convexity bounds the distance to the optimum by the gradient that is left."""
    X, asked = features(), problem(classes=classes)
    found = mlp.fit(X, asked, [], Schedule(epochs=500, batch_size=60, lr=0.05))
    assert isinstance(found, Mlp)
    ((weight, bias),) = found.layers
    trained = Head(weight.astype(float), bias.astype(float))
    # Sums of 60 rows in float32 leave a gradient of about 60 roundings.
    assert gradient_norm(X, asked, trained) < 60 * 2**-23
    exact = fit(X, asked, 1e-10)
    shift = trained.coef - exact.coef
    excess = objective_value(X, asked, trained) - objective_value(X, asked, exact)
    assert excess >= -1e-15
    assert asked.l2 / 2 * np.square(shift).sum() <= excess + 1e-12
    assert np.abs(shift).max() < 1e-5


@pytest.mark.parametrize("loss", [CrossEntropy(), GCE(0.7), Confidence(0.5)])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_is_the_numeric_derivative_of_the_objective(loss: Loss, classes: int) -> None:
    X, asked = features(), problem(classes=classes, loss=loss)
    rng = stream(1, "test/mlp/point")
    K = 1 if classes == 2 else classes
    layers = [
        (rng.normal(0, 0.5, shape).astype(np.float32), rng.normal(0, 0.5, shape[1]).astype("f4"))
        for shape in ((6, 5), (5, K))
    ]
    module = Layers(layers)

    def logits(positions: NDArray[np.int64]) -> torch.Tensor:
        out: torch.Tensor = module(torch.from_numpy(X[positions]))
        return out

    training = Training(asked, logits, list(module.parameters()), list(module.weights), QUICK)
    value = training.objective(np.arange(60))
    assert asked.weights is not None

    def objective(arrays: list[NDArray[np.float64]]) -> float:
        w1, b1, w2, b2 = arrays
        out = np.maximum(X[:60].astype(float) @ w1 + b1, 0) @ w2 + b2
        each, _ = losses.value_and_gradient(loss, out, asked.targets)
        penalty = asked.l2 / 2 * (np.square(w1).sum() + np.square(w2).sum())
        return float(asked.weights @ each / asked.weights.sum() + penalty)  # type: ignore[operator]

    point = [array.astype(float) for layer in layers for array in layer]
    parameters = [module.weights[0], module.biases[0], module.weights[1], module.biases[1]]
    assert value == pytest.approx(objective(point), rel=1e-5)
    step = 1e-5
    for k, parameter in enumerate(parameters):
        gradient = parameter.grad
        assert gradient is not None
        ours = gradient.numpy()
        for index in list(np.ndindex(point[k].shape))[::3]:
            ends = []
            for sign in (1, -1):
                moved = [array.copy() for array in point]
                moved[k][index] += sign * step
                ends.append(objective(moved))
            assert ours[index] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=2e-5)


def test_two_layers_learn_what_one_cannot() -> None:
    rng = stream(0, "test/mlp/xor")
    X = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    asked = Problem("student", np.arange(200), one_hot(y[:200], 2), CrossEntropy(), 1e-4)
    (found,) = mlp.solve({"student": X}, [asked], [32], Schedule(100, 32, 0.02))
    held_out = np.arange(200, 400)

    def right(predictor: Head | mlp.Predictor) -> float:
        p = probabilities(predictor, predictor.logits(X, held_out))
        return float((p.argmax(axis=1) == y[held_out]).mean())

    assert right(found) > 0.9
    assert right(fit(X, asked)) < 0.7


def test_a_fit_depends_on_its_problem_and_seed_alone() -> None:
    X, asked = features(), [problem(seed=s) for s in range(4)]
    together = mlp.solve({"student": X}, asked, [8], QUICK, workers=3)
    for one, of_all in zip(asked, together, strict=True):
        (alone,) = mlp.solve({"student": X}, [one], [8], QUICK)
        for a, b in zip(alone.arrays(), of_all.arrays(), strict=True):
            np.testing.assert_array_equal(a, b)
    (other,) = mlp.solve({"student": X}, [replace(asked[0], seed=1)], [8], QUICK)
    assert np.abs(other.arrays()[0] - together[0].arrays()[0]).max() > 0


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_stopped_training_goes_on_to_the_same_bytes(stop: int) -> None:
    """Through a file of tensors and numbers, in the middle of an epoch or at its end."""
    X, asked = features(), problem()

    def start() -> tuple[Training, Layers]:
        module = Layers(first_layers([6, 8, 1], asked.seed))
        return Training(
            asked,
            lambda positions: module(torch.from_numpy(X[positions])),
            list(module.parameters()),
            list(module.weights),
            QUICK,
        ), module

    whole, expected = start()
    values = list(whole.run())
    assert len(values) == whole.total == 12
    first, _ = start()
    for _, _ in zip(range(stop), first.run(), strict=False):
        pass
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    again, module = start()
    again.restore(torch.load(file, weights_only=True))
    assert list(again.run()) == values[stop:]
    for a, b in zip(expected.layers, module.layers, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_every_epoch_has_every_row_once() -> None:
    asked = problem()
    seen: list[int] = []

    def logits(positions: NDArray[np.int64]) -> torch.Tensor:
        seen.extend(positions.tolist())
        return bias.expand(len(positions), 1)

    bias = torch.nn.Parameter(torch.zeros(1))
    for _ in Training(asked, logits, [bias], [], QUICK).run():
        pass
    epochs = [seen[i : i + 60] for i in range(0, 180, 60)]
    assert all(sorted(epoch) == list(range(60)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_rate_rises_and_falls_to_nothing() -> None:
    schedule = Schedule(epochs=10, batch_size=10, lr=0.3)
    rates = [schedule.rate(step, 95) for step in range(schedule.steps(95))]
    assert len(rates) == 100
    assert rates[0] == pytest.approx(0.03)
    assert max(rates) == pytest.approx(0.3, rel=0.03)
    assert rates[50] == pytest.approx(0.15)
    assert 0 < rates[-1] < 1e-4


def test_a_fit_starts_where_it_is_told_to() -> None:
    X, asked = features(), problem()
    frozen = Schedule(1, 60, 1e-9)
    (first,) = mlp.solve({"student": X}, [asked], [8], QUICK)
    (second,) = mlp.solve({"student": X}, [replace(asked, init=first, seed=5)], [8], frozen)
    for a, b in zip(first.arrays(), second.arrays(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


def test_absent_classes_stay_absent() -> None:
    X = features()
    labels = np.arange(60) % 2 * 2
    asked = Problem("student", np.arange(60), one_hot(labels, 3), CrossEntropy(), 0.1)
    (found,) = mlp.solve({"student": X}, [asked], [8], QUICK)
    logits = found.logits(X, np.arange(5))
    assert logits.shape == (5, 3)
    assert (logits[:, 1] == ABSENT).all()
    (constant,) = mlp.solve(
        {"student": X}, [replace(asked, targets=one_hot(np.ones(60), 3))], [8], QUICK
    )
    assert (constant.logits(X, np.arange(5)).argmax(axis=1) == 1).all()


def test_what_cannot_be_trained_is_said() -> None:
    X = features()
    with pytest.raises(InputError, match="squared loss"):
        mlp.solve({"student": X}, [problem(loss=Squared())], [8], QUICK)
    with pytest.raises(InputError, match=r"lr=1e\+30 is too high"):
        mlp.solve({"student": X}, [problem()], [8], Schedule(20, 16, 1e30))
    with pytest.raises(InputError, match="side='student' is unknown"):
        mlp.solve({"teacher": X}, [problem()], [8], QUICK)
    (found,) = mlp.solve({"student": X}, [problem()], [8], QUICK)
    with pytest.raises(InputError, match="init is a Mlp"):
        fit(X, replace(problem(), init=found))
