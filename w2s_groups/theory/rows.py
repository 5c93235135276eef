"""The core features z of a simulation, row by row: held in memory or drawn again at each pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import torch
from w2s_groups.core.seeds import stream

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_ROWS = 1024  # rows per named stream of DrawnRows: part of what a seed means


class Rows(Protocol):
    """Z (n, d_z) as consecutive blocks of rows; read-only."""

    @property
    def n(self) -> int:
        """Number of rows."""

    @property
    def d_z(self) -> int:
        """Number of columns."""

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """(rows, block (rows, d_z) of `dtype`), from the first row to the last."""


class DrawnRows:
    """Z ~ N(0, I) in float32 values, chunk k of rows from its own stream "<name>/rows k".

    Z is held where it takes at most `memory` bytes (4 n d_z) and drawn again at each pass
    otherwise, one chunk of 4096 d_z bytes at a time; the numbers are the same, and the first rows
    of a longer Z are the shorter Z.
    """

    def __init__(
        self, seed: int, name: str, n: int, d_z: int, *, memory: float, device: str = "cpu"
    ) -> None:
        for field, size in (("n", n), ("d_z", d_z)):
            if size < 1:
                raise InputError(f"{field}={size} is not a size: give an integer >= 1")
        self._seed, self._name = seed, name
        self.n, self.d_z, self.device = n, d_z, torch.device(device)
        self._held: list[tuple[slice, Tensor]] | None = None
        if 4.0 * n * d_z <= memory:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                self._held = list(pool.map(self._draw, range(0, n, CHUNK_ROWS)))

    def _draw(self, low: int) -> tuple[slice, Tensor]:
        rows = slice(low, min(low + CHUNK_ROWS, self.n))
        rng = stream(self._seed, f"{self._name}/rows {low // CHUNK_ROWS}")
        chunk = rng.standard_normal((rows.stop - low, self.d_z), dtype=np.float32)
        return rows, torch.from_numpy(chunk).to(self.device)

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """(rows, block) of one chunk each; drawn here where Z is not held."""
        if self._held is None:
            held: Iterable[tuple[slice, Tensor]] = map(self._draw, range(0, self.n, CHUNK_ROWS))
        else:
            held = self._held
        for rows, chunk in held:
            yield rows, chunk.to(dtype)
