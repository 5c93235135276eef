"""A set that others publish: on the user's disk, in its archive, or fetched from its host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import Listed
from w2s_groups.data.files.archive import Broken, unpacked
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.download import Download, fetched
from w2s_groups.data.ondisk import OnDisk


@dataclass
class Published(OnDisk):
    """download: true fetches the set's archive into the cache, once, in place of root and archive.

    Subclasses say in GET what to fetch by hand and how to check it, and in DOWNLOAD where a host
    serves it without a form to fill in; None where none does.
    """

    download: bool = MISSING

    SOURCES: ClassVar[tuple[str, ...]] = ("root", "archive", "download")
    GET: ClassVar[str] = ""
    DOWNLOAD: ClassVar[Download | None] = None

    def _located(self, cache: Path, progress: Progress) -> Path:
        if not self.download:
            return super()._located(cache, progress)
        if self.DOWNLOAD is None:
            raise InputError(
                f"data.download=true: no host is known that serves {self.name} without a form; get "
                f"{self.GET}, and set data.root to its folder or data.archive to the file it came "
                "in"
            )
        path = fetched(self.DOWNLOAD, self.GET, cache, progress)
        try:
            return unpacked(path, cache, progress)
        except Broken:
            path.unlink(missing_ok=True)  # or the next run would find it again
            raise


def find_root(root: Path, wanted: str, inside: Sequence[str], name: str, remedy: str) -> Path:
    """`root`, or the one folder of `inside` below it, that holds the file `wanted`.

    Raises InputError with `remedy` where none does, and where several do.
    """
    if (root / wanted).is_file():
        return root
    holding = [root / folder for folder in inside if (root / folder / wanted).is_file()]
    if len(holding) == 1:
        return holding[0]
    if holding:
        raise InputError(
            f"data.root={root} holds {len(holding)} releases of {name} "
            f"({', '.join(path.name for path in holding)}); set data.root to one of them"
        )
    places = " or ".join([str(root), *(f"its folder {folder}" for folder in inside)])
    raise InputError(f"data {name}: there is no {wanted} in {places}; {remedy}")


def check_counts(dataset: Listed, expected: Mapping[str, Sequence[int]]) -> None:
    """InputError unless each split has as many images of each group as the release.

    expected: split name -> images per group code.
    """
    groups = dataset.groups
    noun = f"{dataset.NOUN}s"
    for split, name in enumerate(expected):
        counts = np.bincount(dataset.codes[dataset.split == split], minlength=groups.n_groups)
        for group, n, wanted in zip(groups.names, counts, expected[name], strict=True):
            if n != wanted:
                raise InputError(
                    f"data {dataset.name}: {name} has {n} {noun} of {group} and the release has "
                    f"{wanted}; restore the whole release, or set data.check_counts=false for a "
                    "subset"
                )


def check_sizes(dataset: Listed, expected: Mapping[str, int]) -> None:
    """InputError unless each split is as large as the release's."""
    for split, (name, wanted) in enumerate(expected.items()):
        n = int((dataset.split == split).sum())
        if n != wanted:
            raise InputError(
                f"data {dataset.name}: {name} has {n} {dataset.NOUN}s and the release has "
                f"{wanted}; restore the whole release, or set data.check_counts=false for a subset"
            )
