"""Masks of objects in photographs, as COCO states them: polygons or run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Instance:
    """One object: its photograph, (width, height) there, and its mask as COCO states it."""

    path: Path
    number: int
    size: tuple[int, int]
    segmentation: Any

    def __str__(self) -> str:
        return f"{self.path}, annotation {self.number},"

    def mask(self) -> NDArray[np.bool_]:
        """(height, width), true inside the object. Raises InputError for a malformed mask."""
        width, height = self.size
        try:
            if isinstance(self.segmentation, dict):
                if list(self.segmentation["size"]) != [height, width]:
                    raise ValueError(
                        f"size {self.segmentation['size']} where the photograph's is "
                        f"{[height, width]}"
                    )
                return run_length_mask(self.segmentation["counts"], width, height)
            return polygon_mask(self.segmentation, width, height)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InputError(
                f"{self} has a malformed mask ({error}); repair it or take it out"
            ) from error


def polygon_mask(polygons: Sequence[Sequence[float]], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width), true where a pixel's centre lies in any polygon [x0, y0, x1, y1, ...].

    Pixel (row i, column j) covers [j, j + 1) x [i, i + 1), as in COCO.
    """
    from matplotlib.path import Path as Outline  # slow to import, and only needed here

    mask = np.zeros((height, width), dtype=bool)
    if not polygons:
        raise ValueError("no polygon")
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64)
        if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
            raise ValueError("a polygon is at least three pairs x, y")
        points = points.reshape(-1, 2)
        left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
        x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
        centres = np.stack([x.ravel(), y.ravel()], axis=1)
        mask[top:bottom, left:right] |= Outline(points).contains_points(centres).reshape(x.shape)
    return mask


def run_length_mask(counts: str | Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width) mask from run lengths, outside first, down the columns; text is packed."""
    runs = np.array(unpacked(counts) if isinstance(counts, str) else counts)
    n = width * height
    # Each run by itself, too: a sum of huge ones could wrap around to the right number.
    right = runs.ndim == 1 and runs.dtype.kind == "i" and runs.min() >= 0 and runs.max() <= n
    if not right or runs.sum() != n:
        raise ValueError(f"its runs do not add up to {width} x {height} pixels")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Run lengths from COCO's text: five bits a character, lowest first, from "0" up.

    Bit 5 says that more follow; the last one's bit 4 is the sign. From the fourth on, a number is
    the difference to the run two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} is not part of a packed mask")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the packed mask ends within a number")
    return runs
