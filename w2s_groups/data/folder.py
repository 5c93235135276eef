"""Any folder in the Waterbirds format: metadata.csv next to the images that it lists."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import ImageDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.delimited import read_delimited
from w2s_groups.data.identities import Shown
from w2s_groups.data.ondisk import OnDisk
from w2s_groups.data.rows import NOTHING, dataset_of, groups_of
from w2s_groups.design.groups import Groups

COLUMNS = ("img_id", "img_filename", "y", "split", "place", "place_filename")
_NEEDED = ("img_filename", "y", "place", "split")


def read_folder(name: str, root: Path, groups: Groups, shown: Shown = NOTHING) -> ImageDataset:
    """The images that root/metadata.csv lists, in its order; no image is decoded.

    Columns: img_filename (relative to root), y, place (the attribute a), split (0/1/2 or
    train/val/test), those of `shown`; others are ignored. Raises InputError, with the line of
    metadata.csv, for a missing column or file, a value outside the coding, a path that leaves root,
    or a duplicate.
    """
    table = root / "metadata.csv"
    if not table.is_file():
        raise InputError(
            f"data {name}: {table} does not exist; set data.root to the folder with it"
        )
    rows = read_delimited(table, [*_NEEDED, *shown.columns])
    return dataset_of(name, root, rows, _NEEDED, groups, shown)


def write_metadata(
    folder: Path, table: Sequence[Sequence[Any]], further: Sequence[str] = ()
) -> None:
    """metadata.csv of COLUMNS and `further` ones, and the release file that wilds looks for."""
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*COLUMNS, *further))
        writer.writerows(table)
    (folder / "RELEASE_v1.0.txt").touch()


def slug(name: str) -> str:
    """`name` as one component of a path."""
    return re.sub(r"[^\w-]+", "_", name) or "_"


@dataclass
class Folder(OnDisk):
    """A dataset of one's own, or a composed one, in the Waterbirds format.

    minority: (y, a) pairs; empty means a != y.
    """

    class_names: list[str] = MISSING
    attribute_names: list[str] = MISSING
    minority: list[list[int]] = MISSING

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return (folder / "metadata.csv").is_file()

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        """All images below `root` with their official split."""
        groups = groups_of(self.class_names, self.attribute_names, self.minority)
        return read_folder(self.name, root, groups, self.shown)
