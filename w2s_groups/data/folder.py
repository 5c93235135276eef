"""Any folder in the Waterbirds format: metadata.csv beside the images it lists."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, VAL, ImageDataset, TextDataset
from w2s_groups.data.cache import Progress
from w2s_groups.data.delimited import read_delimited
from w2s_groups.data.ondisk import OnDisk
from w2s_groups.data.scan import require_files
from w2s_groups.data.table import Table, label_coding
from w2s_groups.design.groups import Groups

COLUMNS = ("img_id", "img_filename", "y", "split", "place", "place_filename")
_NEEDED = ("img_filename", "y", "place", "split")
SPLITS = {
    **{"0": TRAIN, "train": TRAIN, "training": TRAIN},
    **{"1": VAL, "val": VAL, "valid": VAL, "validation": VAL},
    **{"2": TEST, "test": TEST, "testing": TEST},
}


def read_folder(name: str, root: Path, groups: Groups) -> ImageDataset:
    """The images that root/metadata.csv lists, in its order; no image is decoded.

    Columns: img_filename (relative to root), y, place (the attribute a), split (0/1/2 or
    train/val/test); others are ignored. Raises InputError, with the line of metadata.csv, for a
    missing column or file, a value outside the coding, a path that leaves root, or a duplicate.
    """
    table = root / "metadata.csv"
    if not table.is_file():
        raise InputError(
            f"data {name}: {table} does not exist; set data.root to the folder with it"
        )
    return dataset_of(name, root, read_delimited(table, _NEEDED), _NEEDED, groups)


def dataset_of(
    name: str, root: Path, table: Table, columns: Sequence[str], groups: Groups
) -> ImageDataset:
    """The images of a table in its order. columns: of the file, y, a, and the split if given."""
    files = table.files(columns[0])
    labels, attributes, split = _codes(table, columns[1:], groups)
    require_files(root, files, str(table.path), lambda row: f"{table.unit} {table.lines[row]}")
    return ImageDataset(name, labels, attributes, split, groups, root=root, files=files)


def texts_of(
    name: str, table: Table, texts: Sequence[str], columns: Sequence[str], groups: Groups
) -> TextDataset:
    """The texts of a table in its order; each is named by its line or row.

    texts: its column of texts, or two of pairs. columns: of y, a, and the split if given.
    """
    first, second = (table.columns[texts[0]], table.columns[texts[1]] if texts[1:] else None)
    names = tuple(f"{table.unit} {line}" for line in table.lines)
    coded = _codes(table, columns, groups)
    return TextDataset(name, *coded, groups, files=names, texts=first, second=second)


def check_texts(columns: Sequence[str]) -> None:
    """InputError unless data.text_columns names no column (images), one, or two of pairs."""
    if len(columns) > 2 or len(set(columns)) < len(columns):
        raise InputError(
            f"data.text_columns={list(columns)} must name one column of texts, or the two of pairs "
            "such as premise and hypothesis; leave it empty for images"
        )


Codes = NDArray[np.int64]


def _codes(table: Table, columns: Sequence[str], groups: Groups) -> tuple[Codes, Codes, Codes]:
    """y, a and split of each row of a table; without a column of splits all are TRAIN."""
    y, a = columns[:2]
    labels = table.codes(y, *label_coding(groups.class_names))
    attributes = table.codes(a, *label_coding(groups.attribute_names))
    split = np.full(len(labels), TRAIN)
    if len(columns) > 2:
        split = table.codes(columns[2], SPLITS, "0..2 (train, val, test)")
    return labels, attributes, split


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


def groups_of(
    class_names: Sequence[str],
    attribute_names: Sequence[str],
    minority: Sequence[Sequence[int]] = (),
) -> Groups:
    """Groups from a configuration's lists, checked."""
    for field, names in (("class_names", class_names), ("attribute_names", attribute_names)):
        if len(set(names)) != len(names):
            raise InputError(f"data.{field}={list(names)} names one thing twice")
    for pair in minority:
        if len(pair) != 2:
            raise InputError(
                f"data.minority: {list(pair)} is no pair [y, a] of a class and an attribute"
            )
    pairs = frozenset((pair[0], pair[1]) for pair in minority)
    return Groups(tuple(class_names), tuple(attribute_names), pairs)


@dataclass
class Folder(OnDisk):
    """A dataset of one's own, or a composed one, in the Waterbirds format.

    minority: (y, a) pairs; empty means a != y.
    """

    class_names: list[str] = MISSING
    attribute_names: list[str] = MISSING
    minority: list[list[int]] = MISSING

    def holds_set(self, folder: Path) -> bool:
        return (folder / "metadata.csv").is_file()

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        groups = groups_of(self.class_names, self.attribute_names, self.minority)
        return read_folder(self.name, root, groups)
