"""Pictures a few pixels large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_cutout(path: Path, seed: int) -> None:
    """A noisy disc on a transparent ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    rows, columns = np.ogrid[:20, :30]
    pixels[..., 3] = np.where((rows - 10) ** 2 + (columns - 15) ** 2 < 81, 255, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_background(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
