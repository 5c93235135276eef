"""Rows of a given Z, where simulations draw their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class HeldRows:
    """Z from an array or tensor (n, d_z), on `device`, visited `block_rows` rows at a time."""

    def __init__(
        self, z: Tensor | np.ndarray, *, block_rows: int = 1024, device: str = "cpu"
    ) -> None:
        self._z = torch.as_tensor(z, device=device)
        if self._z.dtype != torch.float32:
            self._z = self._z.double()
        self._single = self._z.float()  # the same storage where Z is float32 already
        self._block_rows = block_rows
        self.n, self.d_z = int(self._z.shape[0]), int(self._z.shape[1])
        self.device = self._z.device

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        source = self._single if dtype == torch.float32 else self._z
        for low in range(0, self.n, self._block_rows):
            rows = slice(low, min(low + self._block_rows, self.n))
            yield rows, source[rows].to(dtype)
