"""Images of a pool as preprocessed pixels, kept in memory as far as a limit allows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from w2s_groups.backbones.base import Backbone
from w2s_groups.core.errors import InputError


class Pixels:
    """files: (N,) of the pool, relative to root. limit: bytes that are kept from use to use."""

    def __init__(
        self, root: Path, files: Sequence[str], backbone: Backbone, workers: int, limit: int
    ) -> None:
        self.root, self.files, self.backbone = root, files, backbone
        self.workers = workers
        self.kept: dict[int, Tensor] = {}
        height, width, channels = backbone.preprocessing.shape
        self.room = limit // (height * width * channels)

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """(b, H, W, 3) uint8 of rows (b,)."""
        wanted = rows.tolist()
        missing = [row for row in dict.fromkeys(wanted) if row not in self.kept]
        found = self.kept
        if missing:
            with ThreadPoolExecutor(self.workers) as pool:
                read = dict(zip(missing, pool.map(self._read, missing), strict=True))
            self.kept.update(list(read.items())[: max(0, self.room - len(self.kept))])
            found = {**read, **{row: self.kept[row] for row in wanted if row in self.kept}}
        return torch.stack([found[row] for row in wanted])

    def _read(self, row: int) -> Tensor:
        try:
            with Image.open(self.root / self.files[row]) as image:
                return self.backbone.preprocess(image)
        except OSError as error:
            raise InputError(
                f"{self.root / self.files[row]} can't be read any more ({error}); run again"
            ) from error
