"""The compositor: cut-outs per class on backgrounds per attribute, as a Waterbirds folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import PIL
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import DatasetConfig, ImageDataset
from w2s_groups.data.cache import Progress, built, content_hash, key, silent
from w2s_groups.data.folder import groups_of, read_folder, slug
from w2s_groups.data.plan import Split, plan, pool_and_test
from w2s_groups.data.render import (
    BUILDER,
    Look,
    Sources,
    cores,
    in_range,
    n_pictures,
    refuse_shared,
    render,
    walk,
)

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass
class Settings(DatasetConfig):
    """What the compositor needs to know besides the pictures.

    n_pool, n_test: images in all, spread equally over the groups. split_seed, test_fraction: which
    identities, of cut-outs and of backgrounds alike, are the test's. The rest as in render.Look.
    """

    n_pool: int = MISSING
    n_test: int = MISSING
    size: int = MISSING
    split_seed: int = MISSING
    test_fraction: float = MISSING
    crop: list[float] = MISSING
    scale: list[float] = MISSING
    quality: int = MISSING

    def __post_init__(self) -> None:
        for name in ("n_pool", "n_test"):
            in_range(f"data.{name}", getattr(self, name), 1, 10**7)
        in_range("data.split_seed", self.split_seed, 0, 2**63)
        if not 0 < self.test_fraction < 1:
            raise InputError(f"data.test_fraction={self.test_fraction} must lie between 0 and 1")
        self.look.check("data.")

    @property
    def look(self) -> Look:
        # tuple() and not an unpacking: a range of a wrong length is check's to refuse.
        return Look(self.size, tuple(self.crop), tuple(self.scale), self.quality)  # type: ignore[arg-type]

    def splits(self, n_groups: int) -> list[Split]:
        """A pool and a test set, each with equal groups."""
        return pool_and_test(self.n_pool, self.n_test, self.test_fraction, n_groups)


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

    The same recipe gives the same bytes. origin: what else to record (package versions). Raises
    InputError for an unreadable picture, one picture under two identities, a full disk.
    """
    groups = groups_of(tuple(cutouts), tuple(backgrounds), minority)
    rows = plan(
        n_pictures(cutouts),
        n_pictures(backgrounds),
        settings.splits(groups.n_groups),
        settings.split_seed,
    )
    paths = [path for source in (cutouts, backgrounds) for _, _, path in walk(source)]
    with ThreadPoolExecutor(cores()) as pool:
        hashes = dict(zip(paths, pool.map(content_hash, paths), strict=True))
    recipe = {
        "builder": BUILDER,
        "pillow": PIL.__version__,
        "settings": {part.name: getattr(settings, part.name) for part in fields(Settings)},
        "classes": groups.class_names,
        "attributes": groups.attribute_names,
        "cutouts": _named_hashes(cutouts, hashes),
        "backgrounds": _named_hashes(backgrounds, hashes),
        "origin": dict(origin or {}),
    }
    root = built(
        cache / "datasets" / f"{slug(settings.name)}-{key(recipe)}",
        recipe,
        lambda folder, step: render(
            rows, cutouts, backgrounds, settings.look, folder, step, progress
        ),
        f"composing {settings.name}",
    )
    return read_folder(settings.name, root, groups)


def _named_hashes(sources: Sources, hashes: Mapping[Path, str]) -> dict[str, dict[str, list[str]]]:
    """Content hashes in the shape of `sources`. The same picture twice would cross the split."""
    refuse_shared(sources, hashes)
    return {
        name: {identity: [hashes[path] for path in paths] for identity, paths in identities.items()}
        for name, identities in sources.items()
    }


def pictures_in(folder: Path, each: bool) -> dict[str, list[Path]]:
    """Identity -> pictures anywhere below `folder`.

    A sub-folder is one identity, and so is a lone picture; if `each`, every picture is one of its
    own, named by its path (a photograph in two formats is one).
    """
    identities: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            inside = path.relative_to(folder)
            whole = each or len(inside.parts) == 1
            identity = inside.with_suffix("").as_posix() if whole else inside.parts[0]
            identities.setdefault(identity, []).append(path)
    return identities


def scan(folders: Mapping[str, str], field: str) -> dict[str, dict[str, list[Path]]]:
    """Sources from one folder per name. A sub-folder is one identity, and so is a lone picture."""
    sources: dict[str, dict[str, list[Path]]] = {}
    for name, text in folders.items():
        folder = Path(text).expanduser()
        if not folder.is_dir():
            raise InputError(f"data.{field}.{name}={text} is no folder")
        identities = pictures_in(folder, each=False)
        if not identities:
            raise InputError(f"data.{field}.{name}={text} holds no picture ({', '.join(SUFFIXES)})")
        sources[name] = identities
    return sources


@dataclass
class Composite(Settings):
    """Cut-outs and backgrounds of one's own: class (attribute value) -> folder, in coding order.

    minority: (y, a) pairs; empty means a != y.
    """

    cutouts: dict[str, str] = role(Role.place)
    backgrounds: dict[str, str] = role(Role.place)
    minority: list[list[int]] = MISSING

    def load(self, cache: Path, progress: Progress = silent) -> ImageDataset:
        """The composed images."""
        return compose(
            scan(self.cutouts, "cutouts"),
            scan(self.backgrounds, "backgrounds"),
            self,
            cache,
            progress,
            minority=self.minority,
        )
