"""Products of the rows of a set with each other, kept while many heads are fitted on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Kernels:
    """The kernels used last, in at most `limit` bytes, of one feature matrix a side.

    A kernel is (n, n) float32: products of the centred features of n rows, which hold for every l2.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.kept: OrderedDict[tuple[str, bytes], Tensor] = OrderedDict()
        self.features: dict[str, NDArray[np.floating]] = {}

    def of(self, features: dict[str, NDArray[np.floating]]) -> Kernels:
        """Itself, emptied of what belongs to other feature matrices."""
        for side, X in features.items():
            if self.features.get(side) is not X:
                for key in [key for key in self.kept if key[0] == side]:
                    self._drop(key)
            self.features[side] = X
        return self

    def get(self, side: str, rows: NDArray[np.int64], make: Callable[[], Tensor]) -> Tensor:
        """The kernel of rows (n,), by `make` where it is not kept."""
        key = (side, rows.tobytes())
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        kernel = make()
        size = kernel.numel() * kernel.element_size()
        while self.kept and self.bytes + size > self.limit:
            self._drop(next(iter(self.kept)))
        if size <= self.limit:
            self.kept[key] = kernel
            self.bytes += size
        return kernel

    def _drop(self, key: tuple[str, bytes]) -> None:
        kernel = self.kept.pop(key)
        self.bytes -= kernel.numel() * kernel.element_size()
