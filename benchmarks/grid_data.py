"""Synthetic features of the size, spectrum and difficulty of pretrained networks' on Waterbirds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream

Array = NDArray[np.float64]
# Every benchmark of a grid runs on the CPU, and on a GPU where there is one.
on_every_device = pytest.mark.parametrize(
    "device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
)


@dataclass(frozen=True, eq=False)
class Features:
    """Standardised float32 features of both networks, the pool's first, then the test rows."""

    teacher: NDArray[np.float32]
    student: NDArray[np.float32]
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    n_pool: int


def features(
    n_pool: int = 6_000, n_test: int = 5_800, d_w: int = 512, d_s: int = 1_280
) -> Features:
    """Class and attribute directions in power-law noise (λ_j = 1/j), then mixed and standardised.

    The teacher's class direction is weaker than its attribute direction, the student's stronger.
    """
    rng = stream(0, "bench/features")
    n = n_pool + n_test
    y, a = rng.integers(0, 2, size=(2, n))
    sides = []
    for d, class_signal, attribute_signal in ((d_w, 1.6, 1.4), (d_s, 2.6, 1.6)):
        deviations = 1 / np.sqrt(np.arange(1, d + 1))
        directions = rng.normal(size=(2, d)) * deviations
        directions /= np.linalg.norm(directions / deviations, axis=1, keepdims=True)
        X = rng.normal(size=(n, d)) * deviations
        X += np.outer(2 * y - 1, class_signal * directions[0])
        X += np.outer(2 * a - 1, attribute_signal * directions[1])
        X = X @ np.linalg.qr(rng.normal(size=(d, d)))[0]
        # A rectifier, as at the end of the networks: skewed features, many of them near zero.
        X = np.maximum(X + 0.3 * X.std(axis=0), 0)
        X = (X - X[:n_pool].mean(axis=0)) / X[:n_pool].std(axis=0)
        sides.append(X.astype(np.float32))
    return Features(sides[0], sides[1], y, a, n_pool)


def draw(data: Features, seed: int, name: str, eta: float, n: int) -> NDArray[np.int64]:
    """n pool rows with minority fraction eta and balanced classes, nested along eta.

    name: "labelled" or "unlabelled"; the two never share a row, as each takes half of the pool.
    """
    order = stream(seed, "bench/halves").permutation(data.n_pool)
    half = order[: data.n_pool // 4] if name == "labelled" else order[data.n_pool // 4 :]
    rows = []
    for label in (0, 1):
        minority = round(n / 2 * eta)
        for attribute, count in ((label, n // 2 - minority), (1 - label, minority)):
            group = half[(data.y[half] == label) & (data.a[half] == attribute)]
            if len(group) < count:
                raise ValueError(f"{name} group ({label}, {attribute}): {len(group)} < {count}")
            rows.append(group[:count])
    return np.concatenate(rows)
