"""Small products take one thread, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn.functional import logsigmoid as plain

from w2s_groups.heads.threads import GRAIN, SMALL, by_size, logsigmoid


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("operations", "threads"), [(0.99 * SMALL, 1), (SMALL, 2)])
def test_a_small_product_takes_one_thread(operations: float, threads: int) -> None:
    with by_size(operations):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("n", [5, GRAIN])
def test_log_sigmoid_is_torchs(n: int) -> None:
    z = torch.linspace(-800, 800, n, dtype=torch.float64)
    assert torch.allclose(logsigmoid(z), plain(z), rtol=1e-15, atol=0)
    assert torch.get_num_threads() == 2
