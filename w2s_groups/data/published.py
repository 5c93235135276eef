"""A set that others publish: on the user's disk, in its archive, or fetched from its host."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import Listed
from w2s_groups.data.files.archive import Broken, unpacked
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.download import Download, fetched, trust
from w2s_groups.data.ondisk import OnDisk
from w2s_groups.design.groups import Groups


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
            folder = unpacked(path, cache, progress)
        except Broken:
            path.unlink(missing_ok=True)  # or the next run would find it again
            raise
        trust(self.DOWNLOAD, path)
        return folder


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
    remedy = "restore the whole release, or set data.check_counts=false for a subset"
    counts = counts_of(dataset.groups, dataset.codes, dataset.split)
    exchanged = exchanged_splits(counts, expected)
    if exchanged:
        raise InputError(f"data {dataset.name}: {in_words(exchanged)}; {remedy}")
    said = difference(dataset.groups, f"{dataset.NOUN}s", counts, expected)
    if said:
        raise InputError(f"data {dataset.name}: {said}; {remedy}")


def counts_of(
    groups: Groups, codes: NDArray[np.int64], split: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(3, n_groups) samples of each group in train, val and test. codes, split: (N,)."""
    return np.array([np.bincount(codes[split == s], minlength=groups.n_groups) for s in range(3)])


def difference(
    groups: Groups | None,
    noun: str,
    counts: NDArray[np.int64],
    expected: Mapping[str, Sequence[int]],
) -> str:
    """The first split and group whose number is not the release's, and how many more; or "".

    counts: (n_splits, n_groups), a row for each split of `expected`. groups: None where a row is
    one number, of all groups. noun: of samples.
    """
    of_group = [""] if groups is None else [f" of {name}" for name in groups.names]
    differing = [
        f"{name} has {n} {noun}{of} and the release has {wanted}"
        for name, row in zip(expected, counts.tolist(), strict=True)
        for of, n, wanted in zip(of_group, row, expected[name], strict=True)
        if n != wanted
    ]
    if not differing:
        return ""
    more = len(differing) - 1
    return differing[0] + (f" ({more} more of its numbers differ)" if more else "")


def exchanged_splits(
    counts: NDArray[np.int64], expected: Mapping[str, Sequence[int]]
) -> dict[str, str]:
    """Split -> the release's split that it is by its counts, where only their names are exchanged.

    Empty where nothing is, or more than that.
    """
    names, release = list(expected), np.array(list(expected.values()))
    for order in itertools.permutations(range(len(names))):
        if np.array_equal(counts, release[list(order)]):
            return {names[k]: names[j] for k, j in enumerate(order) if k != j}
    return {}


def in_words(exchanged: Mapping[str, str]) -> str:
    """`exchanged_splits` as a clause."""
    said = [f"its {name} is the release's {other}" for name, other in exchanged.items()]
    return f"splits are exchanged, as counts show: {' and '.join(said)}"


def check_sizes(dataset: Listed, expected: Mapping[str, int]) -> None:
    """InputError unless each split is as large as the release's."""
    for split, (name, wanted) in enumerate(expected.items()):
        n = int((dataset.split == split).sum())
        if n != wanted:
            raise InputError(
                f"data {dataset.name}: {name} has {n} {dataset.NOUN}s and the release has "
                f"{wanted}; restore the whole release, or set data.check_counts=false for a subset"
            )
