"""A random matrix of signs, one in every row, that is never formed: D parameters <-> d buckets.

`down` sketches gradients (CountSketch); `up` embeds d numbers into all parameters of a network, so
that θ = θ0 + P z trains within a random subspace. Source of the sketch: Charikar, Chen and
Farach-Colton, Finding Frequent Items in Data Streams, ICALP 2002.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from w2s_groups.core.seeds import stream

BLOCK = 2**14  # entries added at a time: few steps, and their sums stay in a core's cache


class Buckets:
    """P (D, d): row i holds one sign, in the bucket of entry i. The same on every device.

    Entries are taken in blocks of `length`, d times a power of 2; each block is turned round by a
    shift of its own, all are added, and one order of the sums deals them evenly to d buckets.
    Signs, shifts and order are random. Two entries of one bucket are at most as frequent as under
    independent buckets: 1 / d. Hence, over seeds, E <Pᵀg, Pᵀh> = <g, h>, and its variance is at
    most (|g|² |h|² + <g, h>²) / d. With d >= D no two entries share a bucket: PPᵀ is the identity.

    No index of D entries and no atomic addition is used: sums are in one order, so that the CPU
    and a GPU give the same bits, for any number of threads, and a row of a batch the same in every
    batch. It holds D bytes. unit: columns of norm 1, for training; otherwise P is of signs.
    """

    def __init__(self, D: int, d: int, seed: int, unit: bool = False) -> None:
        """D, d: 1 or more."""
        self.D, self.d = D, d
        self.length = d * 2 ** math.ceil(math.log2(max(1, min(D, BLOCK) / d)))
        name = f"kernel/buckets {D} {d}"
        draw = stream(seed, f"{name} signs").integers(0, 2, D, dtype="int8") * 2 - 1
        self.signs = torch.from_numpy(draw)
        blocks = math.ceil(D / self.length)
        self.shifts = stream(seed, f"{name} shifts").integers(0, self.length, blocks).tolist()
        self.order = torch.from_numpy(stream(seed, f"{name} order").permutation(self.length))
        self.place = torch.argsort(self.order)
        self.norms: Tensor | None = None
        if unit:  # a bucket without entries has a column of zeros
            self.norms = self.down(self.signs.float()).clamp(min=1).sqrt()

    def to(self, device: str | torch.device) -> Buckets:
        """Itself, moved there."""
        self.signs, self.order = self.signs.to(device), self.order.to(device)
        self.place = self.place.to(device)
        self.norms = None if self.norms is None else self.norms.to(device)
        return self

    def down(self, *parts: Tensor) -> Tensor:
        """Pᵀ g: (..., d) float32 of g (..., D), whole or as consecutive parts (..., n_i).

        As of `gradient.flatten(1)` of each tensor of parameters, which need not be joined.
        """
        total = parts[0].new_zeros((*parts[0].shape[:-1], self.length), dtype=torch.float32)
        begin = 0
        for part in parts:
            end = begin + part.shape[-1]
            for at, n, place in self._pieces(begin, end):
                piece = part[..., at - begin : at - begin + n] * self.signs[at : at + n]
                total[..., place : place + n] += piece
            begin = end
        if begin != self.D:
            raise ValueError(f"{begin} entries are given; this matrix has {self.D} rows")
        total = total[..., self.order]
        while (half := total.shape[-1] // 2) >= self.d:  # `sum` has an order of each device's own
            total = total[..., :half] + total[..., half:]
        return total if self.norms is None else total / self.norms

    def up(self, z: Tensor) -> Tensor:
        """P z: (..., D) float32 of z (..., d)."""
        scaled = z.float() if self.norms is None else z / self.norms
        repeats = [1] * (z.ndim - 1) + [self.length // self.d]
        dealt = scaled.repeat(repeats)[..., self.place]
        found = z.new_empty((*z.shape[:-1], self.D), dtype=torch.float32)
        for at, n, place in self._pieces(0, self.D):
            found[..., at : at + n] = dealt[..., place : place + n]
        return found.mul_(self.signs)

    def _pieces(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(first entry, how many, place of the first in its turned block) of entries begin..end."""
        at = begin
        while at < end:
            block, within = divmod(at, self.length)
            place = (within + self.shifts[block]) % self.length
            n = min(end - at, self.length - within, self.length - place)
            yield at, n, place
            at += n
