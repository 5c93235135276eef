"""Features that say nothing: what counts as such, and what is only strange."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST, TRAIN, FeatureDataset
from w2s_groups.design.groups import Groups
from w2s_groups.experiment import collapsed
from w2s_groups.experiment.pool import standardise

N = 400


def dataset() -> FeatureDataset:
    row = np.arange(N)
    groups = Groups(("n", "p"), ("a", "b"), frozenset({(0, 1), (1, 0)}))
    split = np.where(row < 300, TRAIN, TEST)
    return FeatureDataset("d", row % 2, row // 2 % 2, split, groups, features={}, key="k")


def check(matrix: NDArray[np.float32], usable: NDArray[np.bool_] | None = None) -> None:
    whole = np.ones(N, dtype=bool) if usable is None else usable
    good = stream(0, "test/good").normal(size=(N, 3)).astype(np.float32)
    collapsed.check({("teacher", "good"): good, ("student", "odd"): matrix}, dataset(), whole)


def test_constant_features_are_refused_and_named() -> None:
    rng = stream(0, "test/collapsed")
    ones = np.full((N, 5), 3.7, dtype=np.float32)
    rounding = ones * (1 + 1e-7 * rng.normal(size=(N, 5))).astype(np.float32)
    tested = ones.copy()
    tested[300:] = rng.normal(size=(100, 5))  # only the test rows differ
    for matrix in (ones, rounding, tested, np.zeros((N, 5), np.float32)):
        with pytest.raises(InputError) as refused:
            check(matrix)
        assert "student=odd: its 5 features are the same for all 300 samples" in str(refused.value)
        assert not standardise(matrix, np.arange(300))[:300].any()


def test_rows_that_are_left_out_do_not_count() -> None:
    matrix = np.ones((N, 2), dtype=np.float32)
    matrix[7] = 2.0
    check(matrix)
    with pytest.raises(InputError, match="all 299 samples"):
        check(matrix, np.arange(N) != 7)


def test_one_column_that_varies_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    matrix = np.ones((N, 4), dtype=np.float32)
    matrix[:, 2] = np.arange(N)
    check(matrix)
    assert caplog.text == ""


def test_many_rows_alike_are_said(caplog: pytest.LogCaptureFixture) -> None:
    matrix = stream(0, "test/alike").normal(size=(N, 4)).astype(np.float32)
    matrix[:240] = matrix[0]
    check(matrix)
    assert "student=odd: 80 % of the samples of the pool have exactly the same features" in (
        caplog.text
    )
