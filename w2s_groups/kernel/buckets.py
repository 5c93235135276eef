"""A random matrix of signs, one in every row, that is never formed: D parameters <-> d buckets.

`down` sketches gradients (CountSketch); `up` embeds d numbers into all parameters of a network, so
that θ = θ0 + P z trains within a random subspace. Source of the sketch: Charikar, Chen and
Farach-Colton, Finding Frequent Items in Data Streams, ICALP 2002.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from w2s_groups.core.seeds import stream

BLOCK = 2**14  # entries added at a time: few steps, and their sums stay in a core's cache


class Buckets(nn.Module):
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
        super().__init__()
        self.D, self.d = D, d
        self.length = d * 2 ** math.ceil(math.log2(max(1, min(D, BLOCK) / d)))
        name = f"kernel/buckets {D} {d}"
        draw = stream(seed, f"{name} signs").integers(0, 2, D, dtype="int8") * 2 - 1
        self.register_buffer("signs", torch.from_numpy(draw), persistent=False)
        blocks = math.ceil(D / self.length)
        self.shifts = stream(seed, f"{name} shifts").integers(0, self.length, blocks).tolist()
        order = torch.from_numpy(stream(seed, f"{name} order").permutation(self.length))
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", torch.argsort(order), persistent=False)
        self.register_buffer("norms", None, persistent=False)
        if unit:  # a bucket without entries has a column of zeros
            self.norms = self.down([self.signs.float()]).clamp(min=1).sqrt()

    signs: Tensor
    order: Tensor
    place: Tensor
    norms: Tensor | None

    def down(self, parts: Iterable[Tensor]) -> Tensor:
        """Pᵀ g: (..., d) float32 of g (..., D), given as consecutive parts (..., n_i).

        Such as `gradient.flatten(1)` of each tensor of parameters: they are never joined.
        """
        total = self.signs.new_zeros(self.length, dtype=torch.float32)
        begin = end = 0
        for part in parts:
            if begin == 0:
                total = total.repeat(*part.shape[:-1], 1)
            end = begin + part.shape[-1]
            if end > self.D:
                break
            for at, n, place in self._pieces(begin, end):
                piece = part[..., at - begin : at - begin + n] * self.signs[at : at + n]
                total[..., place : place + n] += piece
            begin = end
        if begin != self.D or end != self.D:
            raise ValueError(f"{end} entries are given; this matrix has {self.D} rows")
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
