"""A run on more rows than memory: heads by blocks of rows from disk, in at most memory_limit_gb.

Against scikit-learn's SGDClassifier, one epoch by `partial_fit` over the same blocks, and against a
bare pass: a block read and multiplied by one vector from either side, as a gradient asks for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from many_rows import BLOCK, measured, write
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier

from w2s_groups.core import mapped


def blocks(path: Path) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The rows of a features file."""
    matrix = np.load(path, mmap_mode="r")
    for where, block in mapped.blocks(matrix, np.arange(len(matrix)), BLOCK):
        assert isinstance(where, slice)
        yield where, block


def bare_pass(path: Path) -> float:
    """Seconds of reading all rows in float64 and two products with a vector."""
    start, total = time.perf_counter(), 0.0
    for _, block in blocks(path):
        X = block.astype(np.float64)
        total += float((X.T @ (X @ np.ones(X.shape[1])))[0])
    return time.perf_counter() - start


def one_epoch(path: Path, y: NDArray[np.int64]) -> tuple[float, float]:
    """Seconds and test accuracy of SGDClassifier after all rows of the pool."""
    start, model, right = time.perf_counter(), SGDClassifier(loss="log_loss", alpha=1e-3), []
    test = np.arange(len(y)) % 6 == 0
    for where, block in blocks(path):
        pool = ~test[where]
        model.partial_fit(block[pool], y[where][pool], classes=[0, 1])
    seconds = time.perf_counter() - start
    for where, block in blocks(path):
        own = test[where]
        right.append(model.predict(block[own]) == y[where][own])
    return seconds, float(np.mean(np.concatenate(right)))


@pytest.mark.slow
@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_a_million_rows(benchmark: Any, tmp_path: Path, head: str) -> None:
    limit = 1.0
    y = write(tmp_path, 1_260_000, {"weak": 512, "strong": 1280})
    try:
        sizes = (20_000, 1_000_000, limit, head)
        found = benchmark.pedantic(measured, (tmp_path, *sizes), rounds=1)
        bare = bare_pass(tmp_path / "strong.npy")
        sgd, accuracy = one_epoch(tmp_path / "strong.npy", y)
    finally:
        for path in tmp_path.glob("*.npy"):
            path.unlink()
    benchmark.extra_info.update(
        {
            "GB over the imports": found["memory"] / 2**30,
            "memory_limit_gb": limit,
            "seconds of a bare pass": bare,
            "bare passes": found["seconds"] / bare,
            "seconds of one epoch of SGDClassifier": sgd,
            "ratio": sgd / found["seconds"],
            "accuracy of the ceiling": found["accuracy"]["ceiling"],
            "accuracy of SGDClassifier": accuracy,
        }
    )
    assert found["memory"] <= 1.1 * limit * 2**30
