"""A GPU gives the answers of the CPU: everything that takes a device, on both.

Run by `make test-cuda`; the machine of the other tests has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from reference_heads import fit, gradient_norm, objective_value, predict_proba
from worlds import THREE, TWO, images

from w2s_groups.backbones import get_backbone
from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import group_counts
from w2s_groups.features import extraction
from w2s_groups.heads import mlp
from w2s_groups.heads.problem import GCE, Confidence, CrossEntropy, Loss, Problem, Squared, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.heads.training import Schedule
from w2s_groups.prediction.logistic import predict_logistic
from w2s_groups.prediction.mixes import Prediction
from w2s_groups.prediction.population import points, population
from w2s_groups.prediction.ridge import predict
from w2s_groups.prediction.ridge_retraining import Selection
from w2s_groups.theory.build import model_with_overlap
from w2s_groups.theory.simulate import Case, Simulation, simulate

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
TOL = 1e-8
BOTH = ("cpu", "cuda")


def grid(loss: Loss, n_classes: int, d: int, n: int) -> tuple[NDArray[np.float32], list[Problem]]:
    """Overlapping sets of n of 900 rows, hard and soft targets."""
    rng = stream(0, f"test/cuda/{n_classes}/{d}")
    X = (rng.normal(size=(900, d)) / np.sqrt(1 + np.arange(d) / 4)).astype(np.float32)
    score = X @ rng.normal(size=(d, n_classes)) + rng.gumbel(size=(900, n_classes))
    targets = {"hard": one_hot(score.argmax(1), n_classes)}
    targets["soft"] = 0.8 * targets["hard"] + 0.2 / n_classes
    order = rng.permutation(900)
    return X, [
        Problem("student", rows, t[rows], loss, 1e-2)
        for start in range(0, 300, 50)
        for rows in [np.sort(order[start : start + n])]
        for t in targets.values()
    ]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", [CrossEntropy(), GCE(0.7), Confidence(0.2)], ids=repr)
def test_descent(loss: Loss, n_classes: int) -> None:
    X, problems = grid(loss, n_classes, 96, 600)
    here, there = (solve({"student": X}, problems, tol=TOL, device=device) for device in BOTH)
    for problem, cpu, gpu in zip(problems, here, there, strict=True):
        assert gradient_norm(X, problem, gpu) <= 1.01 * TOL
        if isinstance(loss, CrossEntropy):
            # Both gradients are below TOL and the objective is l2-strongly convex.
            gap = 4 * TOL * np.sqrt(cpu.coef.size) / problem.l2
            np.testing.assert_allclose(predict_proba(gpu, X), predict_proba(cpu, X), atol=20 * gap)
        else:
            start = objective_value(X, problem, fit(X, problem, TOL))
            assert objective_value(X, problem, gpu) <= start + 1e-3


@pytest.mark.parametrize(("d", "n"), [(40, 300), (300, 80)], ids=["primal", "dual"])
@pytest.mark.parametrize("path", [(), (1e-3, 1e-1)], ids=["fixed", "path"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_ridge(n_classes: int, path: tuple[float, ...], d: int, n: int) -> None:
    X, problems = grid(Squared(path), n_classes, d, n)
    here, there = (solve({"student": X}, problems, tol=TOL, device=device) for device in BOTH)
    for problem, cpu, gpu in zip(problems, here, there, strict=True):
        assert gpu.l2 == cpu.l2
        assert path or gradient_norm(X, problem, gpu) <= 1.01 * TOL
        np.testing.assert_allclose(gpu.coef, cpu.coef, atol=4 * TOL * np.sqrt(d) / 1e-3)


def test_mlp() -> None:
    X, problems = grid(CrossEntropy(), 3, 20, 200)
    schedule = Schedule(epochs=5, batch_size=32, lr=1e-2)
    here, there = (mlp.fit(X, problems[1], [16], schedule, device) for device in BOTH)
    rows = np.arange(len(X))
    # 35 steps of Adam in float32.
    np.testing.assert_allclose(here.logits(X, rows), there.logits(X, rows), atol=1e-3)


@pytest.mark.parametrize(
    ("groups", "forecast"),
    [
        (TWO, predict),
        (THREE, predict),
        (TWO, partial(predict, selection=Selection(0.5))),
        (TWO, predict_logistic),
    ],
    ids=["two classes", "three classes", "retrained", "logistic"],
)
def test_prediction(groups: Groups, forecast: Callable[..., Prediction]) -> None:
    priors = np.ones(len(groups.class_names))
    counts = [
        np.stack([group_counts(groups, priors, n, eta) for eta in (0.2, 0.4)]) for n in (120, 180)
    ]
    pool, at = images(150, groups, "pool"), images(200, groups, "points")
    for with_points in (True, False):
        here, there = (
            forecast(
                population(*pool, groups, device=device), *counts, 0.05, 0.05,
                points=points(*at, groups, device=device) if with_points else None,
            )
            for device in BOTH
        )  # fmt: skip
        sides = ["teacher", "student"] + ["retrained"] * (here.retrained is not None)
        for side in sides:
            cpu, gpu = getattr(here, side), getattr(there, side)
            # A score at the threshold may fall on either side: single images of 150 or 200.
            assert np.abs(cpu - gpu).max() <= 2 / 150
            assert (np.abs(cpu - gpu) < 1e-9).mean() > 0.95


def test_gaussian_model() -> None:
    model = model_with_overlap(
        p_w=3, cos=[0.5], mu_w=1.0, mu_s=0.5, sigma_xi=0.7, sigma_y=1.0, law="mixture"
    )
    shared = Simulation(32, 300, (0.0, 0.4), (0.0, 0.5, 1.0), 0, tol=1e-9)
    here, there = (
        simulate([Case(model, 250, (0.1, 0.5))], replace(shared, device=device), [0, 1])[0]
        for device in BOTH
    )
    for side in ("teacher", "student"):
        np.testing.assert_allclose(getattr(there, side), getattr(here, side), rtol=1e-6)


@pytest.mark.parametrize("precision", list(extraction.TOLERANCE))
def test_features(precision: str, tmp_path: Path) -> None:
    files = [f"{i}.png" for i in range(12)]
    for i, file in enumerate(files):
        coarse = stream(i, "test/images").integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 64)).save(tmp_path / file)

    def extract(device: str, precision: str, folder: str) -> NDArray[np.float32]:
        network = get_backbone("torchvision/resnet18@none", 64)
        return extraction.extract(
            tmp_path, files, network, tmp_path / folder, batch_size=5, workers=2, device=device,
            precision=precision,
        ).matrix  # fmt: skip

    exact = extract("cpu", "float32", "cpu")
    found = extract("cuda", precision, "cuda")
    scale = np.abs(exact).max(axis=1, keepdims=True)
    assert (np.abs(found - exact) <= extraction.TOLERANCE[precision] * scale).all()
    assert (np.abs(found - exact).max() > 1e-5 * scale.min()) == (precision != "float32")
