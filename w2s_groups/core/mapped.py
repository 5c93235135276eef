"""Matrices that stay in their file: rows are read when they are asked for, and leave memory again.

A memory map counts as memory of the process as far as it was read, so what was read is given back.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 2**22  # bytes of rows at a time
SPARSE = 4  # of so many rows one is wanted, or more: then all between are read, in one go
SCATTERED = 64  # rows apart from each other at a time: with each the system maps 64 KB or more

Rows = NDArray[np.int64]


def release(matrix: Any) -> None:
    """Give back the pages of a read-only memory map; nothing for any other array."""
    mapped = matrix.matrix if isinstance(matrix, Stored) else matrix
    while isinstance(mapped, np.ndarray):
        if isinstance(mapped, np.memmap) and mapped.mode != "r":
            return  # pages of a private copy hold what was written to them
        mapped = mapped.base
    if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def take(matrix: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """A copy of ascending rows (n,) of a matrix (N, d)."""
    if not len(rows):
        return np.array(matrix[:0])
    first, end = int(rows[0]), int(rows[-1]) + 1
    if end - first > SPARSE * len(rows) and isinstance(matrix, np.memmap):
        found = np.empty((len(rows), *matrix.shape[1:]), dtype=matrix.dtype)
        for start in range(0, len(rows), SCATTERED):
            part = slice(start, start + SCATTERED)
            found[part] = matrix[rows[part]]
            release(matrix)
    elif end - first > SPARSE * len(rows):
        found = np.array(matrix[rows])
    elif end - first == len(rows):
        found = np.array(matrix[first:end])
    else:
        found = np.array(matrix[first:end][rows - first])
    release(matrix)
    return found


def blocks(
    matrix: Any, rows: Rows, size: int
) -> Iterator[tuple[slice | NDArray[np.intp], NDArray[Any]]]:
    """All distinct rows (n,) of a matrix, `size` at a time, in the order of its file.

    Yields positions in rows, and those rows (b, d).
    """
    place = matrix.order[rows] if isinstance(matrix, Stored) else rows
    ascending = bool((np.diff(place) > 0).all())
    order = None if ascending else np.argsort(place)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        where = part if order is None else order[part]
        raw = take(matrix.matrix if isinstance(matrix, Stored) else matrix, place[where])
        yield where, matrix.read(raw) if isinstance(matrix, Stored) else raw


def gather(matrix: Any, rows: Rows) -> NDArray[Any]:
    """A copy of ascending rows (n,) of a matrix (N, d) of any of these kinds."""
    found: NDArray[Any] = matrix[rows] if isinstance(matrix, Stored) else take(matrix, rows)
    return found


def parts(matrix: Any, rows: Rows | None = None) -> Iterator[NDArray[Any]]:
    """Rows (n,) of a matrix (N, d), or all, in their order, some at a time."""
    n, size = len(matrix) if rows is None else len(rows), rows_at_once(matrix.shape[1])
    for start in range(0, n, size):
        part = slice(start, start + size)
        yield np.array(matrix[part if rows is None else rows[part]], order="C")
        release(matrix)


def rows_at_once(width: int) -> int:
    """Rows of so many float32 features that take CHUNK bytes.

    All rows of one feature: numpy would add parts of a single column in another order.
    """
    return max(1, CHUNK // (4 * width)) if width > 1 else 2**62


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows of a matrix (M, d) in an order of one's own, read as those of an array are.

    order: (N,) their places in the matrix. mean, scale: (d,), of an affine map that gives what is
    read, (x - mean) * scale in float32; None for the rows as they are.
    """

    matrix: NDArray[np.float32]
    order: Rows
    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(N, d)."""
        return len(self.order), self.matrix.shape[1]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Rows by a number, a slice, numbers (n,) or a mask (N,)."""
        place = np.asarray(self.order[key])
        found = np.empty((place.size, self.matrix.shape[1]), dtype=np.float32)
        size = rows_at_once(self.matrix.shape[1])
        order = np.argsort(place, axis=None)
        for start in range(0, place.size, size):
            where = order[start : start + size]
            found[where] = self.read(take(self.matrix, place.reshape(-1)[where]))
        return found.reshape(*place.shape, -1)

    def read(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """What rows of the matrix stand for."""
        if self.mean is None or self.scale is None:
            return raw
        found = raw - self.mean
        found *= self.scale
        return found.astype(np.float32)
