"""Nearest neighbours among the rows of one cell, in memory that does not grow with n squared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**22  # distances at a time
COLUMNS = 4096  # rows that are float64 at a time
# Squared distances that agree to this part of the largest possible one tie: rounding, which differs
# between numbers of threads, must not choose.
PARTS = 2.0**30


def nearest(
    features: NDArray[np.floating],
    rows: NDArray[np.int64],
    shuffle: NDArray[np.int64],
    k: int,
) -> NDArray[np.int32]:
    """(n, min(k, n - 1)) positions in rows (n,) of each one's nearest others, ascending.

    By Euclidean distance of features (N, d); of those that tie, the lower ranks in shuffle (n,).
    Exact, in O(n^2 d) steps and O(n d) memory.
    """
    n, X = len(rows), np.asarray(features[rows])
    starts = range(0, n, COLUMNS)
    squares = np.concatenate(
        [np.square(X[at : at + COLUMNS], dtype=np.float64).sum(axis=1) for at in starts]
    )
    largest = 4 * float(squares.max(initial=0.0))
    unit = 2.0 ** np.ceil(np.log2(largest)) / PARTS if largest > 0 else 1.0
    rank = np.argsort(np.argsort(shuffle))
    k, size = min(k, n - 1), max(1, BLOCK // n)
    found = np.empty((n, k), dtype=np.int32)
    for start in range(0, n, size):
        own = np.arange(start, min(start + size, n))
        left = X[own].astype(np.float64)
        products = np.concatenate(
            [left @ X[at : at + COLUMNS].astype(np.float64).T for at in starts], axis=1
        )
        distances = np.maximum(squares[own][:, None] + squares - 2 * products, 0.0)
        key = np.rint(distances / unit).astype(np.int64) * n + rank
        key[own - start, own] = np.iinfo(np.int64).max
        found[own] = np.sort(np.argpartition(key, k - 1, axis=1)[:, :k], axis=1)
    return found


class Neighbours:
    """Asked for k, gives `nearest` of one cell's rows; what was asked for is kept.

    features: None where only the sizes of problems matter: then each row is its own neighbour.
    """

    def __init__(
        self,
        features: NDArray[np.floating] | None,
        rows: NDArray[np.int64],
        shuffle: NDArray[np.int64],
    ) -> None:
        self._features, self._rows, self._shuffle = features, rows, shuffle
        self._kept: dict[int, NDArray[np.int32]] = {}

    def __call__(self, k: int) -> NDArray[np.int32]:
        """(n, k) positions, or as many as there are others."""
        if self._features is None:
            return np.arange(len(self._rows), dtype=np.int32)[:, None]
        if k not in self._kept:
            self._kept[k] = nearest(self._features, self._rows, self._shuffle, k)
        return self._kept[k]
