"""A composed dataset in the cache: its settings, and its recipe, which names the folder."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import PIL
from omegaconf import MISSING

from w2s_groups.data.base import DatasetConfig, ImageDataset, check_fraction, in_range
from w2s_groups.data.compositing.layout import Counts, Row, layout, pool_and_test
from w2s_groups.data.compositing.render import BUILDER, Look, render
from w2s_groups.data.compositing.sources import (
    Sources,
    content_of,
    n_pictures,
    refuse_shared,
    walk,
)
from w2s_groups.data.files.cache import Progress, built, key, silent
from w2s_groups.data.folder import read_folder, slug
from w2s_groups.data.rows import groups_of


@dataclass
class Settings(DatasetConfig, ABC):
    """What the compositor has to know, apart from the pictures.

    n_pool, n_test: images in all, spread equally over the groups; n_test = 0: no test set, for
    `splits` to make several. split_seed, test_fraction: which
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
        in_range("data.n_pool", self.n_pool, 1, 10**7)
        in_range("data.n_test", self.n_test, 0, 10**7)
        in_range("data.split_seed", self.split_seed, 0, 2**63)
        check_fraction("data.test_fraction", self.test_fraction)
        self.look.check("data.")

    @property
    def look(self) -> Look:
        """How the images look."""
        # tuple() and not an unpacking: a range of a wrong length is check's to refuse.
        return Look(self.size, tuple(self.crop), tuple(self.scale), self.quality)  # type: ignore[arg-type]

    def rows(self, cutouts: Counts, backgrounds: Counts) -> list[Row]:
        """Every image: a pool and a test set, each with equal groups."""
        n_groups = len(cutouts) * len(backgrounds)
        splits = pool_and_test(self.n_pool, self.n_test, self.test_fraction, n_groups)
        return layout(cutouts, backgrounds, splits, self.split_seed)


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
    rows = settings.rows(n_pictures(cutouts), n_pictures(backgrounds))
    hashes = content_of([path for source in (cutouts, backgrounds) for *_, path in walk(source)])
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
    # The table lists the images in the order of the rows.
    return replace(
        read_folder(settings.name, root, groups),
        identity=tuple(f"{groups.class_names[row.y]}/{row.cutout[0]}" for row in rows),
        place=tuple(f"{groups.attribute_names[row.a]}/{row.background[0]}" for row in rows),
    )


def _named_hashes(sources: Sources, hashes: Mapping[Path, str]) -> dict[str, dict[str, list[str]]]:
    """Content hashes in the shape of `sources`. The same picture twice would cross the split."""
    refuse_shared(sources, hashes)
    return {
        name: {identity: [hashes[path] for path in paths] for identity, paths in identities.items()}
        for name, identities in sources.items()
    }
