"""Planned images to files: one engine for the `composite` dataset and the `compose` command."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from w2s_groups.core.errors import InputError
from w2s_groups.data.cache import Progress, content_hash
from w2s_groups.data.coco import Instance
from w2s_groups.data.folder import slug, write_metadata
from w2s_groups.data.paste import open_background, open_cutout, paste
from w2s_groups.data.plan import Row

BUILDER = 1  # raise it when the same recipe would give other pixels
_Item = TypeVar("_Item")
_CHUNK = 32  # images per task
_KEPT = 1024  # decoded pictures of a kind kept in memory

Sources = Mapping[str, Mapping[str, Sequence[Path]]]
"""Class (or attribute value) -> identity -> its pictures. An identity is never split."""
Cutouts = Mapping[str, Mapping[str, Sequence[Path | Instance]]]
"""The same for cut-outs: pictures with transparency, or masked objects in photographs."""


@dataclass(frozen=True)
class Look:
    """size: side in pixels. crop: range of the background crop's side / the photograph's shorter
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
                    f"{prefix}{field}={list(span)} must be [low, high], 0.05 <= low <= high <= 1"
                )

    @property
    def longest(self) -> int:
        """Cut-outs are kept this large."""
        return 2 * self.size

    @property
    def shortest(self) -> int:
        """Backgrounds are kept this large."""
        return max(self.size, round(self.size / self.crop[0]))


def in_range(field: str, value: float, low: float, high: float) -> None:
    """Raise InputError unless low <= value <= high (nan fails)."""
    if not low <= value <= high:
        raise InputError(f"{field}={value} must lie in {low}..{high}")


def render(
    rows: Sequence[Row],
    cutouts: Cutouts,
    backgrounds: Sources,
    look: Look,
    folder: Path,
    step: str,
    progress: Progress,
) -> None:
    """Compose all rows into `folder`, on all cores: Pillow works without the interpreter's lock.

    The folder is Waterbirds': class/identity/number.jpg, an empty release file, and metadata.csv
    last. Counterfactual sets add a column `pair`, empty for images of none.
    """
    cutout_at = lru_cache(_KEPT)(lambda source: open_cutout(source, look.longest))
    background_at = lru_cache(_KEPT)(lambda path: open_background(path, look.shortest))
    classes, attributes = list(cutouts), list(backgrounds)
    sets = any(row.pair for row in rows)
    table = []
    for number, row in enumerate(rows, start=1):
        name = f"{number:06d}.{'png' if look.lossless else 'jpg'}"
        file = f"{slug(classes[row.y])}/{_folder(row.cutout[0])}/{name}"
        place = f"/{slug(attributes[row.a])}/{_folder(row.background[0])}"
        table.append(
            (number, file, row.y, row.split, row.a, place, *((row.pair or "",) if sets else ()))
        )
        (folder / file).parent.mkdir(parents=True, exist_ok=True)

    def make(start: int) -> int:
        chunk = slice(start, start + _CHUNK)
        for row, entry in zip(rows[chunk], table[chunk], strict=True):
            image = paste(
                cutout_at(cutouts[classes[row.y]][row.cutout[0]][row.cutout[1]]),
                background_at(backgrounds[attributes[row.a]][row.background[0]][row.background[1]]),
                row.u,
                look.size,
                look.crop,
                look.scale,
            )
            buffer = io.BytesIO()  # Pillow's own writing loses the reason of a failure
            if look.lossless:
                image.save(buffer, "PNG")
            else:
                image.save(buffer, "JPEG", quality=look.quality)
            (folder / entry[1]).write_bytes(buffer.getvalue())
        return len(table[chunk])

    run_all(make, range(0, len(rows), _CHUNK), len(rows), step, progress)
    write_metadata(folder, table, ("pair",) if sets else ())


def _folder(identity: str) -> str:
    return "/".join(slug(part) for part in identity.split("/"))


def run_all(
    task: Callable[[_Item], int], items: Iterable[_Item], total: int, step: str, progress: Progress
) -> None:
    """task(item) -> number of images made, on a thread per core. Stops at the first error."""
    done = 0
    progress(step, done, total)
    pool = ThreadPoolExecutor(cores())
    try:
        for made in pool.map(task, items):
            done += made
            progress(step, done, total)
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def walk(
    sources: Mapping[str, Mapping[str, Sequence[_Item]]],
) -> Iterator[tuple[str, str, _Item]]:
    """(class, identity, picture) of all pictures."""
    for name, identities in sources.items():
        for identity, pictures in identities.items():
            for picture in pictures:
                yield name, identity, picture


def n_pictures(
    sources: Mapping[str, Mapping[str, Sequence[object]]],
) -> dict[str, dict[str, int]]:
    """Class (attribute value) -> identity -> number of its pictures: all that a plan needs."""
    return {
        name: {identity: len(pictures) for identity, pictures in identities.items()}
        for name, identities in sources.items()
    }


def file_of(picture: Path | Instance) -> Path:
    """The file that a picture is read from."""
    return picture.path if isinstance(picture, Instance) else picture


def same_content(paths: Sequence[Path]) -> dict[Path, str]:
    """A text per file, equal exactly where contents are; only files of one size are read."""
    sizes = {path: path.stat().st_size for path in dict.fromkeys(paths)}
    of_size = Counter(sizes.values())
    alike = [path for path, size in sizes.items() if of_size[size] > 1]
    with ThreadPoolExecutor(cores()) as pool:
        hashes = dict(zip(alike, pool.map(content_hash, alike), strict=True))
    return {path: hashes.get(path, f"{size} bytes") for path, size in sizes.items()}


def refuse_shared(sources: Cutouts | Sources, content: Mapping[Path, str]) -> None:
    """InputError for one picture under two identities, which could cross the split."""
    owner: dict[str, tuple[str, str, Path]] = {}
    for name, identity, picture in walk(sources):
        path = file_of(picture)
        other = owner.setdefault(content[path], (name, identity, path))
        if other[:2] != (name, identity):
            raise InputError(
                f"{path} and {other[2]} are the same picture under two identities; remove one"
            )
