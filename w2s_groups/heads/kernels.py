"""Products of the rows of features with each other, for the row sets that heads are fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.heads.scratch import Scratch

PANEL = 512  # rows of products at once


class Kernels:
    """Float64 products of centred features, kept for as many rows as fit into `limit` bytes.

    The sets of a grid share rows, so each takes its kernel out of a matrix of their union.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.features: dict[str, NDArray[np.floating]] = {}
        self.plan: dict[str, list[NDArray[np.int64]]] = {}
        self.kept: dict[str, tuple[NDArray[np.int64], Tensor]] = {}

    def of(
        self,
        features: Mapping[str, NDArray[np.floating]],
        sets: Mapping[str, Sequence[NDArray[np.int64]]],
    ) -> Kernels:
        """Itself, ready for these sets of ascending rows (n,) of each side, in this order."""
        for side, X in features.items():
            if self.features.get(side) is not X:
                self.kept.pop(side, None)
            self.features[side] = X
            distinct = {rows.tobytes(): rows for rows in sets.get(side, [])}
            self.plan[side] = _unions(list(distinct.values()), self.limit // (8 * len(features)))
        return self

    def get(self, side: str, rows: NDArray[np.int64], scratch: Scratch) -> Tensor:
        """The kernel (n, n) of ascending rows (n,), in `scratch`."""
        have, products = self.kept.get(side, (rows[:0], torch.empty(0)))
        if not _inside(rows, have):
            have = next((union for union in self.plan[side] if _inside(rows, union)), rows)
            self.kept.pop(side, None)
            products = self._products(side, have, scratch.device)
            self.kept[side] = have, products
        if len(rows) == len(have):
            return products
        where = torch.as_tensor(np.searchsorted(have, rows), device=scratch.device)
        kernel = scratch.empty("kernel", len(rows), len(rows), dtype=torch.float64)
        return torch.take(products, where[:, None] * len(have) + where, out=kernel)

    def _products(self, side: str, rows: NDArray[np.int64], device: str | torch.device) -> Tensor:
        features = self.features[side]
        mean = features.mean(axis=0, dtype=np.float64)
        X = torch.as_tensor(features[rows] - mean, device=device)
        found = X.new_empty(len(X), len(X))
        for start in range(0, len(X), PANEL):
            panel = slice(start, start + PANEL)
            torch.matmul(X[panel], X[: start + PANEL].T, out=found[panel, : start + PANEL])
            found[:start, panel] = found[panel, :start].T
        return found


def _inside(rows: NDArray[np.int64], union: NDArray[np.int64]) -> bool:
    return bool(np.isin(rows, union, assume_unique=True).all())


def _unions(sets: Sequence[NDArray[np.int64]], numbers: int) -> list[NDArray[np.int64]]:
    """Unions of sets that follow each other, where that saves products and fits."""
    if len(sets) < 2:
        return list(sets)
    union = np.unique(np.concatenate(sets))
    if len(union) ** 2 <= min(numbers, sum(len(rows) ** 2 for rows in sets)):
        return [union]
    half = len(sets) // 2
    return _unions(sets[:half], numbers) + _unions(sets[half:], numbers)
