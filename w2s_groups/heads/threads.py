"""Small products on one thread: a second one that has to wait for a core holds up the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

SMALL = 2e8  # operations of a product, 5 ms of a core, from which a second thread pays
GRAIN = 32_768  # numbers from which torch's element-wise operations take more than one thread


@contextmanager
def by_size(operations: float) -> Iterator[None]:
    """One thread for what is inside, if its largest product has few operations."""
    threads = torch.get_num_threads()
    if operations < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def logsigmoid(z: Tensor) -> Tensor:
    """log(1 / (1 + e^-z)); torch's own takes every thread for any size, 3 ms in place of 4 us."""
    with by_size(SMALL if z.numel() >= GRAIN else 0):
        return F.logsigmoid(z)
