"""One draw from a pool of many classes, against one permutation of the pool."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from w2s_groups.core.seeds import stream
from w2s_groups.design import sampling
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request

CLASSES, N_L, N_U = 1_000, 10_000, 50_000


@pytest.mark.quick
def test_one_draw(benchmark: Any) -> None:
    """Time grows with the pool, not with classes times pool."""
    names = tuple(f"class {k}" for k in range(CLASSES))
    groups = Groups(names, ("a", "b"), frozenset((k, 1) for k in range(CLASSES)))
    codes = np.tile(np.arange(groups.n_groups), 60)
    priors = np.full(CLASSES, 1 / CLASSES)
    request = Request(N_L, N_U, 0.1, 0.5)

    def draw() -> None:
        sampling._group_counts.cache_clear()  # counts that a grid asks for again are kept
        sampling.draw(groups, codes, priors, request, 0)

    benchmark.pedantic(draw, rounds=3)
    start = time.perf_counter()
    for _ in range(10):
        stream(0, "draw").permutation(len(codes))
    permutation = (time.perf_counter() - start) / 10
    benchmark.extra_info.update({"ratio": benchmark.stats.stats.min / permutation})
    assert benchmark.stats.stats.min < 1
