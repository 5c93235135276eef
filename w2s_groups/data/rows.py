"""Rows of a table as a dataset: which columns hold the files or texts, the labels, the split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, VAL, ImageDataset, TextDataset
from w2s_groups.data.files.scan import require_files
from w2s_groups.data.files.table import Table, label_coding
from w2s_groups.data.identities import Shown
from w2s_groups.design.groups import Groups

Codes = NDArray[np.int64]
NOTHING = Shown()  # a table without columns of identities and places
SPLITS = {
    **{"0": TRAIN, "train": TRAIN, "training": TRAIN},
    **{"1": VAL, "val": VAL, "valid": VAL, "validation": VAL},
    **{"2": TEST, "test": TEST, "testing": TEST},
}


def dataset_of(
    name: str,
    root: Path,
    table: Table,
    columns: Sequence[str],
    groups: Groups,
    shown: Shown = NOTHING,
) -> ImageDataset:
    """The images of a table in its order. columns: of the file, y, a, and the split if given.

    shown: its columns of identities and places.
    """
    files = table.files(columns[0])
    labels, attributes, split = codes_of(table, columns[1:], groups)
    require_files(root, files, str(table.path), lambda row: f"{table.unit} {table.lines[row]}")
    known = shown.names(table)
    return ImageDataset(name, labels, attributes, split, groups, root=root, files=files, **known)


def texts_of(
    name: str,
    table: Table,
    texts: Sequence[str],
    columns: Sequence[str],
    groups: Groups,
    shown: Shown = NOTHING,
) -> TextDataset:
    """The texts of a table in its order; each is named by its line or row.

    texts: its column of texts, or two of pairs. columns: of y, a, and the split if given. shown:
    its columns of identities and places.
    """
    first, second = (table.columns[texts[0]], table.columns[texts[1]] if texts[1:] else None)
    names = tuple(f"{table.unit} {line}" for line in table.lines)
    coded = codes_of(table, columns, groups)
    known = shown.names(table)
    return TextDataset(name, *coded, groups, files=names, texts=first, second=second, **known)


def check_texts(columns: Sequence[str]) -> None:
    """InputError unless data.text_columns names no column (images), one, or two of pairs."""
    if len(columns) > 2 or len(set(columns)) < len(columns):
        raise InputError(
            f"data.text_columns={list(columns)} must name one column of texts, or the two of pairs "
            "such as premise and hypothesis; leave it empty for images"
        )


def codes_of(table: Table, columns: Sequence[str], groups: Groups) -> tuple[Codes, Codes, Codes]:
    """y, a and split of each row of a table; without a column of splits all are TRAIN."""
    y, a = columns[:2]
    labels = table.codes(y, *label_coding(groups.class_names))
    attributes = table.codes(a, *label_coding(groups.attribute_names))
    split = np.full(len(labels), TRAIN)
    if len(columns) > 2:
        split = table.codes(columns[2], SPLITS, "0..2 (train, val, test)")
    return labels, attributes, split


def groups_of(
    class_names: Sequence[str],
    attribute_names: Sequence[str],
    minority: Sequence[Sequence[int]] = (),
) -> Groups:
    """Groups from a configuration's lists, checked."""
    for field, names in (("class_names", class_names), ("attribute_names", attribute_names)):
        if len(set(names)) != len(names):
            raise InputError(f"data.{field}={list(names)} names one of them twice; keep one")
    for pair in minority:
        if len(pair) != 2:
            raise InputError(
                f"data.minority: {list(pair)} must be a pair [y, a] of a class and an attribute; "
                "correct it"
            )
    pairs = frozenset((pair[0], pair[1]) for pair in minority)
    return Groups(tuple(class_names), tuple(attribute_names), pairs)
