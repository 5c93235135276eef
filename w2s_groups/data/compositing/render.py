"""Planned images to files: one engine for the `composite` dataset and the `compose` command."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import in_range
from w2s_groups.data.compositing.layout import Row
from w2s_groups.data.compositing.paste import open_background, open_cutout, paste
from w2s_groups.data.compositing.sources import Cutouts, Sources
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.parallel import run_all
from w2s_groups.data.folder import slug, write_metadata

BUILDER = 1  # raise it when the same recipe would give other pixels
_CHUNK = 32  # images per task
_KEPT = 1024  # decoded pictures of a kind kept in memory


@dataclass(frozen=True)
class Look:
    """How composed images look.

    size: side in pixels. crop: range of the background crop's side / the photograph's shorter
    side. scale: range of the cut-out's longer side / the frame. quality: of JPEG files.
    lossless: PNG files instead.
    """

    size: int
    crop: tuple[float, float]
    scale: tuple[float, float]
    quality: int
    lossless: bool = False

    def check(self, prefix: str) -> None:
        """InputError that names a field as `prefix` + field."""
        in_range(f"{prefix}size", self.size, 8, 4096)
        in_range(f"{prefix}quality", self.quality, 1, 100)
        for field, span in (("crop", self.crop), ("scale", self.scale)):
            if len(span) != 2 or not 0.05 <= span[0] <= span[1] <= 1:
                raise InputError(
                    f"{prefix}{field}={list(span)} must be a range [low, high] with 0.05 <= low "
                    "<= high <= 1; change it"
                )

    @property
    def longest(self) -> int:
        """Cut-outs are kept this large."""
        return 2 * self.size

    @property
    def shortest(self) -> int:
        """Backgrounds are kept this large."""
        return max(self.size, round(self.size / self.crop[0]))


def render(
    rows: Sequence[Row],
    cutouts: Cutouts,
    backgrounds: Sources,
    look: Look,
    folder: Path,
    step: str,
    progress: Progress,
    *,
    named: bool = False,
) -> None:
    """Compose all rows into `folder`, on all cores: Pillow works without the interpreter's lock.

    The folder is Waterbirds': class/identity/number.jpg, an empty release file, and metadata.csv
    last. Counterfactual sets add a column `pair`, empty for images of none; named adds `identity`,
    the class and the cut-out's identity.
    """
    cutout_at = lru_cache(_KEPT)(lambda source: open_cutout(source, look.longest))
    background_at = lru_cache(_KEPT)(lambda path: open_background(path, look.shortest))
    classes, attributes = list(cutouts), list(backgrounds)
    table, further = _metadata(rows, classes, attributes, "png" if look.lossless else "jpg", named)
    for parent in {(folder / entry[1]).parent for entry in table}:
        parent.mkdir(parents=True, exist_ok=True)

    def make(start: int) -> int:
        chunk = slice(start, start + _CHUNK)
        for row, entry in zip(rows[chunk], table[chunk], strict=True):
            figures, places = cutouts[classes[row.y]], backgrounds[attributes[row.a]]
            image = paste(
                cutout_at(figures[row.cutout[0]][row.cutout[1]]),
                background_at(places[row.background[0]][row.background[1]]),
                row.u,
                look.size,
                look.crop,
                look.scale,
            )
            _save(image, folder / entry[1], look)
        return len(table[chunk])

    run_all(make, range(0, len(rows), _CHUNK), len(rows), step, progress)
    write_metadata(folder, table, further)


def _metadata(
    rows: Sequence[Row],
    classes: Sequence[str],
    attributes: Sequence[str],
    suffix: str,
    named: bool,
) -> tuple[list[tuple[Any, ...]], tuple[str, ...]]:
    """Rows of metadata.csv, and its further columns; see `render`."""
    sets = any(row.pair for row in rows)
    table = []
    for number, row in enumerate(rows, start=1):
        identity = f"{slug(classes[row.y])}/{_folder(row.cutout[0])}"
        place = f"/{slug(attributes[row.a])}/{_folder(row.background[0])}"
        further = (*((row.pair or "",) if sets else ()), *((identity,) if named else ()))
        file = f"{identity}/{number:06d}.{suffix}"
        table.append((number, file, row.y, row.split, row.a, place, *further))
    return table, (*(("pair",) if sets else ()), *(("identity",) if named else ()))


def _folder(identity: str) -> str:
    return "/".join(slug(part) for part in identity.split("/"))


def _save(image: Image.Image, path: Path, look: Look) -> None:
    buffer = io.BytesIO()  # Pillow's own writing loses the reason of a failure
    if look.lossless:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=look.quality)
    path.write_bytes(buffer.getvalue())
