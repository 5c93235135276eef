"""Any folder in the Waterbirds format: metadata.csv beside the images it lists."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING

from w2s_groups.data.base import ImageDataset
from w2s_groups.data.cache import Progress, silent
from w2s_groups.errors import InputError
from w2s_groups.groups import Groups

COLUMNS = ("img_id", "img_filename", "y", "split", "place", "place_filename")
_NEEDED = ("img_filename", "y", "split", "place")
_LISTED = 5  # problems of one kind named in one message


def read_folder(name: str, root: Path, groups: Groups) -> ImageDataset:
    """The images that root/metadata.csv lists, in its order; no image is decoded.

    Columns: img_filename (relative to root), y, place (the attribute a), split (0/1/2 =
    train/val/test); others are ignored. Raises InputError, with the line of metadata.csv, for a
    missing column or file, a value outside the coding, a path that leaves root, or a duplicate.
    """
    table = root / "metadata.csv"
    if not table.is_file():
        raise InputError(
            f"data {name}: {table} does not exist; set data.root to the folder with it"
        )
    lines, rows = _read(table)
    files = tuple(
        _inside(row["img_filename"], table, line) for line, row in zip(lines, rows, strict=True)
    )
    y, a, split = (
        np.array(
            [_integer(row, column, table, line) for line, row in zip(lines, rows, strict=True)]
        )
        for column in ("y", "place", "split")
    )
    for column, values, names in (
        ("y", y, groups.class_names),
        ("place", a, groups.attribute_names),
        ("split", split, ("train", "val", "test")),
    ):
        outside = np.flatnonzero((values < 0) | (values >= len(names)))
        if outside.size:
            raise InputError(
                f"{table} line {lines[outside[0]]}: {column}={values[outside[0]]} is outside the "
                f"coding 0..{len(names) - 1} ({', '.join(names)})"
            )
    first: dict[str, int] = {}
    for line, file in zip(lines, files, strict=True):
        if first.setdefault(file, line) != line:
            raise InputError(
                f"{table} line {line}: {file} is listed already in line {first[file]}; keep one"
            )
    _require_files(root, files, lines, table)
    return ImageDataset(name, root, files, y, a, split, groups)


def _read(table: Path) -> tuple[list[int], list[dict[str, str]]]:
    """Line numbers and rows; a byte-order mark, CRLF and blank lines are no matter."""
    lines, rows = [], []
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [column.strip() for column in reader.fieldnames or ()]
            missing = [column for column in _NEEDED if column not in header]
            if missing:
                raise InputError(
                    f"{table} lacks the column {', '.join(missing)}; its columns are "
                    f"{', '.join(header) or 'none'}"
                )
            reader.fieldnames = header
            for row in reader:
                if None in row.values() or None in row:
                    raise InputError(
                        f"{table} line {reader.line_num}: {len(header)} values are expected"
                    )
                if any(value.strip() for value in row.values()):
                    lines.append(reader.line_num)
                    rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} is not a UTF-8 comma-separated table: {error}") from error
    if not rows:
        raise InputError(f"{table} lists no image")
    return lines, rows


def _integer(row: dict[str, str], column: str, table: Path, line: int) -> int:
    try:
        return int(row[column])
    except ValueError:
        raise InputError(f"{table} line {line}: {column}={row[column]!r} is no integer") from None


def _inside(text: str, table: Path, line: int) -> str:
    """The path in normal form. Refuses one that is absolute or climbs out of the root."""
    parts = [part for part in text.strip().split("/") if part not in ("", ".")]
    if text.strip().startswith("/") or ".." in parts or "\\" in text or not parts:
        raise InputError(
            f"{table} line {line}: img_filename={text!r} must be a path below the folder, "
            "with forward slashes and without '..'"
        )
    return "/".join(parts)


def _require_files(root: Path, files: Sequence[str], lines: Sequence[int], table: Path) -> None:
    """One scan per folder, not one query per image: matters on network file systems."""
    present: dict[str, set[str]] = {}
    absent = []
    for line, file in zip(lines, files, strict=True):
        folder, _, base = file.rpartition("/")
        if folder not in present:
            try:
                with os.scandir(root / folder) as entries:
                    present[folder] = {entry.name for entry in entries}
            except (FileNotFoundError, NotADirectoryError):
                present[folder] = set()
        if base not in present[folder]:
            absent.append(f"{file} (line {line})")
    if absent:
        more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
        raise InputError(
            f"{table} lists {len(absent)} images that are not in {root}: "
            f"{', '.join(absent[:_LISTED])}{more}; restore them or take their rows out"
        )


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
class Folder:
    """A dataset of one's own, or a downloaded one, in the Waterbirds format.

    minority: (y, a) pairs; empty means a != y.
    """

    name: str = MISSING
    root: str = MISSING
    class_names: list[str] = MISSING
    attribute_names: list[str] = MISSING
    minority: list[list[int]] = MISSING

    def load(self, cache: Path, progress: Progress = silent) -> ImageDataset:
        groups = groups_of(self.class_names, self.attribute_names, self.minority)
        return read_folder(self.name, Path(self.root).expanduser(), groups)
