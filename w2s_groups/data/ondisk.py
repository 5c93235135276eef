"""Where a dataset's files are, and which of its images make the pool and the test."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import user_path
from w2s_groups.core.roles import Role, role
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import (
    TEST,
    TRAIN,
    VAL,
    Dataset,
    DatasetConfig,
    Listed,
    check_fraction,
    in_range,
)
from w2s_groups.data.files.archive import unpacked
from w2s_groups.data.files.cache import Progress, silent
from w2s_groups.data.identities import Shown, check_apart, kept_together, rows_of_test

AnyListed = TypeVar("AnyListed", bound=Listed)
_TARGETS: Mapping[str, int | None] = {"train": TRAIN, "val": VAL, "test": TEST, "drop": None}


class Pool(Enum):
    """official: drawn from the train and val splits, tested on test. all: every image re-split.

    unsplit: every image, and no test set; for `splits`, which makes several.
    """

    official = "official"
    all = "all"
    unsplit = "unsplit"


class Shared(Enum):
    """What to do about test images (or texts) that are also in the pool: say so, or stop."""

    report = "report"
    stop = "stop"


@dataclass
class OnDisk(DatasetConfig):
    """A dataset that the user has on disk.

    root: its folder. archive: the file it came in, unpacked once into the cache; give one of the
    two. A folder around everything in the archive is entered. pool: which images are drawn from
    and tested on; split_seed and test_fraction (of each group) say how pool=all re-splits them.
    shared: what to do about test images that are also in the pool, under any name.
    identity_column: the column that names who or what a sample shows or comes from (an individual,
    a photographer, an author); place_column: where. None where none does. Pool and test share no
    name of either: pool=all splits names and not samples, and an official split that shares one is
    refused.
    """

    root: str | None = role(Role.place)
    archive: str | None = role(Role.place)
    pool: Pool = MISSING
    split_seed: int = MISSING
    test_fraction: float = MISSING
    shared: Shared = role(Role.conduct)
    identity_column: str | None = role(Role.if_set, None)
    place_column: str | None = role(Role.if_set, None)

    SOURCES: ClassVar[tuple[str, ...]] = ("root", "archive")
    # Why no column can name identities or places; empty where a table lists the samples.
    NO_COLUMNS: ClassVar[str] = ""

    def __post_init__(self) -> None:
        given = {f"data.{place}": getattr(self, place) for place in self.SOURCES}
        n = sum(value is not None and value is not False for value in given.values())
        if n != 1:
            raise InputError(
                f"{' or '.join(given)} must say where {self.name} is, and "
                f"{'several are' if n else 'none is'} set; set data.root to its folder, or "
                "data.archive to the file it came in"
            )
        check_fraction("data.test_fraction", self.test_fraction)
        in_range("data.split_seed", self.split_seed, 0, 2**63)
        self.shown.check()
        if self.NO_COLUMNS and self.shown.columns:
            (field, column), *_ = self.shown.by_field.items()
            raise InputError(
                f"data.{field}_column={column}: {self.NO_COLUMNS}; set it to null, or list the "
                "files in a table and read that with data=metadata_csv"
            )

    @property
    def shown(self) -> Shown:
        """The columns of identities and places."""
        return Shown(self.identity_column, self.place_column)

    @abstractmethod
    def read(self, root: Path, cache: Path, progress: Progress) -> Listed:
        """All images, texts or rows below `root` with their official split."""

    def load(self, cache: Path, progress: Progress = silent) -> Listed:
        """The samples as `pool` splits them."""
        dataset = self.read(self._located(cache, progress), cache, progress)
        if self.pool is Pool.unsplit:
            whole = np.full(len(dataset.split), TRAIN)
            return replace(dataset, split=whole, official=dataset.split)
        if self.pool is Pool.all:
            return resplit(dataset, self.test_fraction, self.split_seed)
        for rows, what in (
            (dataset.split == TEST, "test"),
            (dataset.split != TEST, "train or val"),
        ):
            if not rows.any():
                raise InputError(
                    f"data {self.name}: no {dataset.NOUN} is of split {what}; set data.pool=all "
                    f"to split all {dataset.NOUN}s anew, or data.pool=unsplit with splits=crossed "
                    "or splits=random"
                )
        check_apart(dataset, self.shown.by_field)
        return dataset

    def if_all(self, dataset: Dataset) -> NDArray[np.int64] | None:
        """(n_groups,) images of `dataset` that pool=all would leave to draw from.

        None if it is set already.
        """
        if self.pool is not Pool.official:
            return None
        counts = np.bincount(dataset.codes, minlength=dataset.groups.n_groups)
        if self.shown.columns and isinstance(dataset, Listed):
            anew = resplit(dataset, self.test_fraction, self.split_seed)
            return np.bincount(anew.codes[anew.split != TEST], minlength=len(counts))
        return np.array([n - _n_test(int(n), self.test_fraction) for n in counts], dtype=np.int64)

    def _located(self, cache: Path, progress: Progress) -> Path:
        if self.archive is not None:
            folder = unpacked(user_path("data.archive", self.archive), cache, progress)
            return _entered(folder, self.holds_set)
        root = user_path("data.root", str(self.root)).absolute()
        if not root.is_dir():
            raise InputError(
                f"data.root={root} is not a folder; set it to where the files of {self.name} are"
            )
        return root

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return True


def _entered(folder: Path, holds_set: Callable[[Path], bool]) -> Path:
    """`folder`, or the folder around everything in it that looks like the set."""
    inside = folder
    while not holds_set(inside):
        below = [
            path
            for path in inside.iterdir()
            if path.is_dir() and path.name != "__MACOSX" and not path.name.startswith(".")
        ]
        if len(below) != 1:
            return folder
        (inside,) = below
    return inside


def resplit(dataset: AnyListed, test_fraction: float, seed: int) -> AnyListed:
    """The same images, every one in TRAIN or TEST: test_fraction of each group is the test.

    A group of two or more images is on both sides. The order of the images does not matter, only
    their names: the same files are split in the same way however a table lists them. So it is with
    texts, which their content names. Where identities or places are known, each is on one side, and
    the test is as near to test_fraction of each group as whole ones allow.
    """
    official = dataset.split if dataset.official is None else dataset.official
    codes, split = dataset.codes, np.full(len(dataset.files), TRAIN)
    cluster = kept_together(dataset)
    if cluster is not None:
        counts = np.bincount(codes, minlength=dataset.groups.n_groups)
        wanted = np.array([_n_test(int(n), test_fraction) for n in counts], dtype=np.int64)
        split[rows_of_test(dataset, cluster, wanted, seed)] = TEST
        return replace(dataset, split=split, official=official)
    names = dataset.sort_keys
    for code, group in enumerate(dataset.groups.names):
        rows = np.array(
            sorted(np.flatnonzero(codes == code).tolist(), key=names.__getitem__), dtype=np.int64
        )
        n_test = _n_test(len(rows), test_fraction)
        order = stream(seed, f"pool/{group}").permutation(rows)
        split[order[:n_test]] = TEST
    return replace(dataset, split=split, official=official)


def _n_test(n: int, test_fraction: float) -> int:
    """Test images of a group of n."""
    n_test = int(np.floor(n * test_fraction + 0.5))
    return min(max(n_test, 1), n - 1) if n > 1 else 0


def split_codes(
    given: Mapping[str, str], there: Iterable[str], owner: str
) -> dict[str, int | None]:
    """Code of each split that is there, by data.splits; None for one that is left out."""
    for name, target in given.items():
        if target not in _TARGETS:
            raise unknown_name(f"data.splits.{name}", target, _TARGETS)
    lacking = [name for name in there if name not in given]
    if lacking:
        raise InputError(
            f"data.splits does not say what {owner}'s split {lacking[0]} is; add "
            f"+data.splits.{lacking[0]}=drop, or =train, =val or =test"
        )
    return {name: _TARGETS[given[name]] for name in there}
