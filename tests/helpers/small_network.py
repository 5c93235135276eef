"""A network of 185 weights on images of 8 pixels, to fine-tune, with all that a fit needs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.preprocessing import Preprocessing
from w2s_groups.core.seeds import stream
from w2s_groups.experiment.pool import affine, standardise
from w2s_groups.finetuning import Tuned
from w2s_groups.finetuning.pixels import Pixels
from w2s_groups.finetuning.side import Side
from w2s_groups.finetuning.solver import Tuner
from w2s_groups.heads.problem import CrossEntropy, Predictor, Problem, one_hot
from w2s_groups.heads.solve import solve

PREPROCESSING = Preprocessing(8, 8, "bilinear", (120.0,) * 3, (60.0,) * 3)
N, ROWS = 48, np.arange(24)


class Net(nn.Module):
    """A convolution, normalisation, one split into groups, and a linear layer; one unused."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.split = nn.Conv2d(4, 4, 3, groups=4)
        self.linear = nn.Linear(4, 5)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.split(torch.tanh(self.norm(self.conv(x)))))
        out: torch.Tensor = torch.tanh(self.linear(x.mean((2, 3))))
        return out


def make_side(root: Path) -> Side:
    """The network with N images below `root`."""
    rng = stream(0, "test/tuning")
    for i in range(N):
        pixels = rng.integers(0, 120, (8, 8, 3)) + 80 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{i}.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
        net.norm.running_mean += 0.1
    backbone = Backbone("module/net", "hash", lambda: net, PREPROCESSING)
    pixels = Pixels(root, [f"{i}.png" for i in range(N)], backbone, 2, 10 * 8 * 8 * 3)
    found = backbone.forward(pixels(np.arange(N))).numpy()
    return Side(backbone, pixels, *affine(found, np.arange(N)), "content")


def features_of(side: Side) -> dict[str, NDArray[np.float32]]:
    """The frozen features of all images, as of a pool."""
    matrix = side.backbone.forward(side.pixels(np.arange(N))).numpy()
    return {"student": standardise(matrix, np.arange(N))}


def problem(**changes: Any) -> Problem:
    rng = stream(1, "test/tuning/labels")
    labels = ROWS % 2
    labels[rng.permutation(24)[:6]] ^= 1
    asked = Problem(
        "student", ROWS, one_hot(labels, 2), CrossEntropy(), 0.05,
        rng.uniform(0.5, 1.5, 24), seed=3, asked=np.arange(N),
    )  # fmt: skip
    return replace(asked, **changes)


def tuner(side: Side, folder: Path, settings: Tuned, **changes: Any) -> Tuner:
    given = {"frozen": partial(solve, tol=1e-8), "head": "logistic"} | changes
    return Tuner(
        sides={"student": side}, settings=settings, folder=folder,
        exclusive=lambda name: nullcontext(), **given,
    )  # fmt: skip


def logits(predictor: Predictor, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return predictor.logits(X, np.arange(N))
