"""BFFHQ: young or old faces, of which most young ones are women and most old ones men."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, VAL, ImageDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.scan import images_below
from w2s_groups.data.published import Published
from w2s_groups.design.groups import Groups

GROUPS = Groups(("young", "old"), ("female", "male"))
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)pct")
_NAME = re.compile(r".*_([01])_([01])\.[A-Za-z]+")


@dataclass
class Bffhq(Published):
    """y: young, old. a: female, male; minority a != y. Source: Lee et al., arXiv 2107.01372.

    percent: the folder of the train split, named by its share of conflicting images. Its labels
    are read from the file names and compared with the folders align and conflict and 0 and 1.
    check_counts: refuse a train split whose share of conflicting images is not what `percent` says.
    """

    percent: str = MISSING
    check_counts: bool = MISSING

    NO_COLUMNS = "bffhq lists its images in folders, and no table names who they show"
    GET = (
        "bffhq, which the repository kakaoenterprise/Learning-Debiased-Disentangled links on a "
        "drive that asks for a click (folders 0.5pct, valid and test)"
    )

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return GROUPS

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return any((folder / name / "valid").is_dir() for name in ("", "bffhq"))

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        """All images below `root` with their official split."""
        folder = root if (root / "valid").is_dir() else root / "bffhq"
        for name in (self.percent, "valid", "test"):
            if not (folder / name).is_dir():
                there = sorted(path.name for path in root.iterdir() if path.is_dir())
                raise InputError(
                    f"data {self.name}: there is no {name} in {folder}; {root} has "
                    f"{', '.join(there[:20]) or 'no folders'}; set data.percent to one such as "
                    "0.5pct, or data.root to the folder with valid and test"
                )
        files: list[str] = []
        codes: list[tuple[int, int, int]] = []
        for split, name in ((TRAIN, self.percent), (VAL, "valid"), (TEST, "test")):
            paths = images_below(folder, name)
            if not paths:
                raise InputError(f"data {self.name}: {folder / name} holds no image; restore it")
            files += paths
            codes += [(split, *_labels(file, folder)) for file in paths]
        split, y, a = np.array(codes, dtype=np.int64).T
        if self.check_counts:
            self._check((y != a)[split == TRAIN])
        return ImageDataset(self.name, y, a, split, GROUPS, root=folder, files=tuple(files))

    def _check(self, conflict: NDArray[np.bool_]) -> None:
        """InputError unless the share of conflicting images (N,) rounds to `percent`."""
        match = _PERCENT.fullmatch(self.percent)
        n, stated = int(conflict.sum()), float(match[1]) / 100 if match else 0.0
        if match and abs(n - stated * len(conflict)) > max(1, 0.1 * stated * len(conflict)):
            raise InputError(
                f"data {self.name}: {n} of {len(conflict)} images of {self.percent} are in "
                f"conflict, {100 * n / len(conflict):.3g} % and not what its name says; restore "
                "the whole release, or set data.check_counts=false for a subset"
            )


def _labels(file: str, folder: Path) -> tuple[int, int]:
    """(y, a) of an image from its name, in accord with the folders that it is in."""
    *folders, name = file.split("/")
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"data: the name of {folder / file} does not end with _label_attribute.png, such as "
            "_0_1.png; restore it"
        )
    y, a = int(match[1]), int(match[2])
    stated = {"align": y == a, "conflict": y != a, "0": y == 0, "1": y == 1}
    for part in folders[1:]:
        if not stated.get(part, True):
            raise InputError(
                f"data: {folder / file} is in the folder {part} and its name says label {y} and "
                f"attribute {a}; move it or correct its name"
            )
    return y, a
