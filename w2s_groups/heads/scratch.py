"""Memory that one row set after another is worked on in: fresh pages cost more than sums there."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Tensors by name; a new one of a name lies where the last one was."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = device
        self.flat: dict[str, Tensor] = {}

    def empty(self, name: str, *shape: int, dtype: torch.dtype) -> Tensor:
        """As torch.empty."""
        size = math.prod(shape)
        if name not in self.flat or len(self.flat[name]) < size or self.flat[name].dtype != dtype:
            self.flat.pop(name, None)
            self.flat[name] = torch.empty(size, dtype=dtype, device=self.device)
        return self.flat[name][:size].view(shape)
