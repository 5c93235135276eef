"""Features that tell no sample from another: refused before a head is fitted on them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.mapped import blocks, rows_at_once
from w2s_groups.data.base import TEST, Dataset

log = logging.getLogger("w2s_groups")


def check(
    matrices: Mapping[tuple[str, str], NDArray[np.float32]],
    dataset: Dataset,
    usable: NDArray[np.bool_],
) -> None:
    """InputError if all features of a network are constant over the pool; a warning if more than
    half of the pool shares one row of features.

    matrices: (side, network) -> (N, d) features.
    """
    pool = np.flatnonzero((dataset.split != TEST) & usable)
    seen = set()
    for (side, name), matrix in matrices.items():
        if name in seen:  # on the other side too
            continue
        seen.add(name)
        if _constant(matrix, pool):
            raise InputError(
                f"{side}={name}: its {matrix.shape[1]} features are the same for all {len(pool)} "
                f"{dataset.NOUN}s of the pool, so no head can learn from them; name another "
                f"{side}, or correct what made the features"
            )
        known = Counter(hash(row.tobytes()) for part in _parts(matrix, pool) for row in part)
        most = max(known.values()) / len(pool)
        if most > 0.5:
            log.warning(
                "%s=%s: %.0f %% of the %ss of the pool have exactly the same features",
                side, name, 100 * most, dataset.NOUN,
            )  # fmt: skip


def _constant(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> bool:
    """Whether no column varies by more than rounding; pool.affine would make every one 0."""
    width = matrix.shape[1]
    first = matrix[rows[0]].astype(np.float64)
    total, squares, largest = np.zeros(width), np.zeros(width), np.zeros(width)
    for raw in _parts(matrix, rows):  # all rows in float64 at once may not fit
        part = raw.astype(np.float64)
        largest = np.maximum(largest, np.abs(part).max(axis=0))
        part -= first
        total, squares = total + part.sum(axis=0), squares + (part**2).sum(axis=0)
    variance = squares / len(rows) - (total / len(rows)) ** 2
    return bool((variance <= (1e-6 * largest) ** 2).all())


def _parts(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """The rows (n,), some at a time, in any order."""
    for _, part in blocks(matrix, rows, rows_at_once(matrix.shape[1])):
        yield part
