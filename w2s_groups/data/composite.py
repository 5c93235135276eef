"""The compositor: cut-outs per class on backgrounds per attribute, as a Waterbirds folder."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import PIL
from omegaconf import MISSING

from w2s_groups.data.base import ImageDataset
from w2s_groups.data.cache import Progress, built, content_hash, key, silent
from w2s_groups.data.folder import groups_of, read_folder, slug, write_metadata
from w2s_groups.data.paste import open_background, open_cutout, paste
from w2s_groups.data.plan import Row, plan
from w2s_groups.errors import InputError

BUILDER = 1  # raise it when the same recipe would give other pixels
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_CHUNK = 32  # images per task
_KEPT = 1024  # decoded pictures of a kind kept in memory

Sources = Mapping[str, Mapping[str, Sequence[Path]]]
"""Class (or attribute value) -> identity -> its pictures. An identity is never split."""


@dataclass
class Settings:
    """What the compositor needs to know besides the pictures.

    n_pool, n_test: images in all, spread equally over the groups. size: side in pixels.
    split_seed, test_fraction: which identities, of cut-outs and of backgrounds alike, are the
    test's. crop: range of the background crop's side / the photograph's shorter side. scale: range
    of the cut-out's longer side / the frame. quality: of the JPEG files.
    """

    name: str = MISSING
    n_pool: int = MISSING
    n_test: int = MISSING
    size: int = MISSING
    split_seed: int = MISSING
    test_fraction: float = MISSING
    crop: list[float] = MISSING
    scale: list[float] = MISSING
    quality: int = MISSING

    def __post_init__(self) -> None:
        for field, low, high in (
            ("n_pool", 1, 10**7),
            ("n_test", 1, 10**7),
            ("size", 8, 4096),
            ("split_seed", 0, 2**63),
            ("quality", 1, 100),
        ):
            in_range(field, getattr(self, field), low, high)
        if not 0 < self.test_fraction < 1:
            raise InputError(f"data.test_fraction={self.test_fraction} must lie between 0 and 1")
        for field in ("crop", "scale"):
            span = getattr(self, field)
            if len(span) != 2 or not 0.05 <= span[0] <= span[1] <= 1:
                raise InputError(
                    f"data.{field}={list(span)} must be [low, high], 0.05 <= low <= high <= 1"
                )


def in_range(field: str, value: float, low: float, high: float) -> None:
    """Raise InputError unless low <= value <= high (nan fails)."""
    if not low <= value <= high:
        raise InputError(f"data.{field}={value} must lie in {low}..{high}")


def compose(
    cutouts: Sources,
    backgrounds: Sources,
    settings: Settings,
    cache: Path,
    progress: Progress = silent,
    *,
    minority: Sequence[Sequence[int]] = (),
    origin: Mapping[str, str] | None = None,
) -> ImageDataset:
    """The composed dataset, built below cache/datasets unless the same recipe was built before.

    The folder is Waterbirds': class/identity/number.jpg, metadata.csv, an empty release file. The
    same recipe gives the same bytes. origin: what else to record (package versions). Raises
    InputError for an unreadable picture, one picture under two identities, a full disk.
    """
    groups = groups_of(tuple(cutouts), tuple(backgrounds), minority)
    rows = plan(
        n_pictures(cutouts),
        n_pictures(backgrounds),
        settings.n_pool,
        settings.n_test,
        settings.test_fraction,
        settings.split_seed,
    )
    paths = [path for source in (cutouts, backgrounds) for _, _, path in _walk(source)]
    with ThreadPoolExecutor(_cores()) as pool:
        hashes = dict(zip(paths, pool.map(content_hash, paths), strict=True))
    recipe = {
        "builder": BUILDER,
        "pillow": PIL.__version__,
        "settings": {field: getattr(settings, field) for field in Settings.__dataclass_fields__},
        "classes": groups.class_names,
        "attributes": groups.attribute_names,
        "cutouts": _named_hashes(cutouts, hashes),
        "backgrounds": _named_hashes(backgrounds, hashes),
        "origin": dict(origin or {}),
    }
    root = built(
        cache / "datasets" / f"{slug(settings.name)}-{key(recipe)}",
        recipe,
        lambda folder, step: _render(rows, cutouts, backgrounds, settings, folder, step, progress),
        f"composing {settings.name}",
    )
    return read_folder(settings.name, root, groups)


def _render(
    rows: Sequence[Row],
    cutouts: Sources,
    backgrounds: Sources,
    settings: Settings,
    folder: Path,
    step: str,
    progress: Progress,
) -> None:
    """Compose all rows into `folder`, on all cores: Pillow works without the interpreter's lock."""
    longest = 2 * settings.size
    shortest = max(settings.size, round(settings.size / settings.crop[0]))
    cutout_at = lru_cache(_KEPT)(lambda path: open_cutout(path, longest))
    background_at = lru_cache(_KEPT)(lambda path: open_background(path, shortest))
    classes, attributes = list(cutouts), list(backgrounds)
    table = []
    for number, row in enumerate(rows, start=1):
        class_name, attribute = classes[row.y], attributes[row.a]
        file = f"{slug(class_name)}/{slug(row.cutout[0])}/{number:06d}.jpg"
        place = f"/{slug(attribute)}/{slug(row.background[0])}"
        table.append((number, file, row.y, row.split, row.a, place))
        (folder / file).parent.mkdir(parents=True, exist_ok=True)

    def render(start: int) -> int:
        chunk = slice(start, start + _CHUNK)
        for row, entry in zip(rows[chunk], table[chunk], strict=True):
            image = paste(
                cutout_at(cutouts[classes[row.y]][row.cutout[0]][row.cutout[1]]),
                background_at(backgrounds[attributes[row.a]][row.background[0]][row.background[1]]),
                row.u,
                settings.size,
                settings.crop,
                settings.scale,
            )
            buffer = io.BytesIO()  # Pillow's own writing loses the reason of a failure
            image.save(buffer, "JPEG", quality=settings.quality)
            (folder / entry[1]).write_bytes(buffer.getvalue())
        return len(table[chunk])

    run_all(render, range(0, len(rows), _CHUNK), len(rows), step, progress)
    write_metadata(folder, table)


def run_all(
    task: Callable[[int], int], items: Sequence[int], total: int, step: str, progress: Progress
) -> None:
    """task(item) -> number of images made, on a thread per core. Stops at the first error."""
    done = 0
    progress(step, done, total)
    pool = ThreadPoolExecutor(_cores())
    try:
        for made in pool.map(task, items):
            done += made
            progress(step, done, total)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _walk(sources: Sources) -> Iterator[tuple[str, str, Path]]:
    for name, identities in sources.items():
        for identity, pictures in identities.items():
            for path in pictures:
                yield name, identity, path


def n_pictures(
    sources: Mapping[str, Mapping[str, Sequence[object]]],
) -> dict[str, dict[str, int]]:
    """Class (attribute value) -> identity -> number of its pictures: all that a plan needs."""
    return {
        name: {identity: len(pictures) for identity, pictures in identities.items()}
        for name, identities in sources.items()
    }


def _named_hashes(sources: Sources, hashes: Mapping[Path, str]) -> dict[str, dict[str, list[str]]]:
    """Content hashes in the shape of `sources`. The same picture twice would cross the split."""
    owner: dict[str, tuple[str, str, Path]] = {}
    for name, identity, path in _walk(sources):
        other = owner.setdefault(hashes[path], (name, identity, path))
        if other[:2] != (name, identity):
            raise InputError(
                f"{path} and {other[2]} are the same picture under two identities; remove one"
            )
    return {
        name: {identity: [hashes[path] for path in paths] for identity, paths in identities.items()}
        for name, identities in sources.items()
    }


def scan(folders: Mapping[str, str], field: str) -> dict[str, dict[str, list[Path]]]:
    """Sources from one folder per name. A sub-folder is one identity, and so is a lone picture."""
    sources: dict[str, dict[str, list[Path]]] = {}
    for name, text in folders.items():
        folder = Path(text).expanduser()
        if not folder.is_dir():
            raise InputError(f"data.{field}.{name}={text} is no folder")
        identities: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                first = Path(path.relative_to(folder).parts[0])
                identities.setdefault(
                    first.stem if first.name == path.name else first.name, []
                ).append(path)
        if not identities:
            raise InputError(f"data.{field}.{name}={text} holds no picture ({', '.join(SUFFIXES)})")
        sources[name] = identities
    return sources


@dataclass
class Composite(Settings):
    """Cut-outs and backgrounds of one's own: class (attribute value) -> folder, in coding order.

    minority: (y, a) pairs; empty means a != y.
    """

    cutouts: dict[str, str] = MISSING
    backgrounds: dict[str, str] = MISSING
    minority: list[list[int]] = MISSING

    def load(self, cache: Path, progress: Progress = silent) -> ImageDataset:
        return compose(
            scan(self.cutouts, "cutouts"),
            scan(self.backgrounds, "backgrounds"),
            self,
            cache,
            progress,
            minority=self.minority,
        )
