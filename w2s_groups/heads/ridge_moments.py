"""Second moments of one set of rows after another, each from its nearest neighbour's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.heads.products import add_lower

RENEW = 1e-4  # share of a feature's largest moment so far below which subtraction costs digits


class Chain:
    """Lower triangle of Σ xᵀx over one set after another, by the rows in which they differ."""

    def __init__(self, X: Tensor) -> None:
        self.X = X
        self.member = np.zeros(len(X), dtype=bool)
        self.sum = X.new_zeros(X.shape[1], X.shape[1])
        self.largest = self.sum.diagonal().clone()

    def moment(self, rows: NDArray[np.int64]) -> Tensor:
        member = np.zeros_like(self.member)
        member[rows] = True
        gained = np.flatnonzero(member & ~self.member)
        lost = np.flatnonzero(self.member & ~member)
        if len(gained) + len(lost) < len(rows):
            for part, sign in ((gained, 1.0), (lost, -1.0)):
                block = self.X[part]
                add_lower(self.sum, block, block, sign)
        self.largest = torch.maximum(self.largest, self.sum.diagonal())
        shrunk = bool((self.sum.diagonal() < RENEW * self.largest).any())
        if shrunk or len(gained) + len(lost) >= len(rows):
            block = self.X[rows]
            self.sum.zero_()
            add_lower(self.sum, block, block)
            self.largest = self.sum.diagonal().clone()
        self.member = member
        return self.sum


def nearest_neighbours(sets: Sequence[NDArray[np.int64]], n_rows: int) -> Iterator[int]:
    """Order of visit in which each set is the nearest to the one before, of those still left."""
    if not sets:
        return
    member = np.zeros((len(sets), n_rows), dtype=np.float32)
    for one, rows in zip(member, sets, strict=True):
        one[rows] = 1
    size = member.sum(axis=1)
    left = np.ones(len(sets), dtype=bool)
    at = 0
    while True:
        left[at] = False
        yield at
        if not left.any():
            return
        apart = np.where(left, size - 2 * (member @ member[at]), np.inf)
        at = int(apart.argmin())
