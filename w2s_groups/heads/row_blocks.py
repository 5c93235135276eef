"""One pass over rows of a matrix after another, a block of float64 rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.core.mapped import blocks

# A block takes one part in SHARE of the memory limit, in rows of so many bytes a feature: as they
# are read and standardised, in float64, and in a weighted copy.
SHARE, BYTES = 8, 4 + 4 + 8 + 8
LEAST, MOST = 64, 8192  # rows of a block


class RowBlocks:
    """Rows (n,) of features X (N, d), each pass in the order of the file."""

    def __init__(self, X: Any, rows: NDArray[np.int64], memory_limit: int, ones: int = 0) -> None:
        """ones: columns of ones to add behind the features, 0 or 1."""
        self.X, self.rows, self.ones = X, rows, ones
        self.d = int(X.shape[1])
        self.size = max(LEAST, min(MOST, memory_limit // SHARE // (BYTES * self.d)))

    def __iter__(self) -> Iterator[tuple[slice | NDArray[np.intp], Tensor]]:
        """Positions among the rows, and those rows (b, d + ones)."""
        for where, block in blocks(self.X, self.rows, self.size):
            A = torch.ones(len(block), self.d + self.ones, dtype=torch.float64)
            A[:, : self.d] = torch.from_numpy(block)
            yield where, A


def least_block(d: int) -> int:
    """Bytes of the least memory limit of which a part is a block of LEAST rows."""
    return SHARE * LEAST * BYTES * d
