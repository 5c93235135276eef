"""A table of one's own beside images: columns, codings and splits as they are named there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from w2s_groups.data.base import ImageDataset
from w2s_groups.data.cache import Progress
from w2s_groups.data.folder import dataset_of, groups_of
from w2s_groups.data.ondisk import OnDisk, Pool
from w2s_groups.data.table import Table, read_delimited
from w2s_groups.errors import InputError

_MOST = 1000  # codes that a column of integers may stand for


@dataclass
class MetadataCsv(OnDisk):
    """Images that a table with commas or tabs lists; its columns may have any names.

    table: the table's path, below root or absolute. file_column, y_column, a_column, split_column:
    its columns; file names are relative to root; no split column (null) asks for pool=all. Labels
    are names or 0, 1, ...; splits 0, 1, 2 or train, val, test. class_names, attribute_names: in the
    order of the coding; null: the column's own values, sorted. minority: (y, a) pairs; empty means
    a != y. The defaults read the tables id,filename,split,y,a of SubpopBench and BalancingGroups.
    """

    table: str = MISSING
    file_column: str = MISSING
    y_column: str = MISSING
    a_column: str = MISSING
    split_column: str | None = MISSING
    class_names: list[str] | None = MISSING
    attribute_names: list[str] | None = MISSING
    minority: list[list[int]] = MISSING

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        path = root / Path(self.table).expanduser()
        if not path.is_file():
            raise InputError(f"data.table={path} is no file; set it to the table of {self.name}")
        if self.split_column is None and self.pool is Pool.official:
            raise InputError(
                "data.split_column=null leaves no official split; set data.pool=all, or name the "
                "column"
            )
        columns = [self.file_column, self.y_column, self.a_column]
        if self.split_column is not None:
            columns.append(self.split_column)
        if len(set(columns)) < len(columns):
            raise InputError(
                f"data.file_column, y_column, a_column and split_column are {', '.join(columns)}; "
                "name a column once"
            )
        table = read_delimited(path, columns)
        groups = groups_of(
            _names(table, self.y_column, self.class_names, "class_names", "y"),
            _names(table, self.a_column, self.attribute_names, "attribute_names", "a"),
            self.minority,
        )
        return dataset_of(self.name, root, table, columns, groups)


def _names(
    table: Table, column: str, given: Sequence[str] | None, field: str, letter: str
) -> list[str]:
    """The names of a column's codes: as given, or from its values, such as y0, y1 for 0, 1."""
    if given is not None:
        return list(given)
    values = set(table.columns[column])
    if all(value.isascii() and value.isdecimal() for value in values):
        largest = max(map(int, values)) if max(map(len, values)) < 9 else _MOST
        n = max(largest + 1, 2)
        found = [f"{letter}{code}" for code in range(n)]
    else:
        found, n = sorted(values), len(values)
    if n > _MOST or n < 2:
        raise InputError(
            f"{table.path}: column {column} has {len(values)} values, up to {max(values)!r}, and "
            f"2 to {_MOST} can be told apart; name another column, or list data.{field}"
        )
    return found
