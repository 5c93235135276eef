"""A table of one's own whose columns are the inputs: rows of numbers and names, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import user_path
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import TableDataset
from w2s_groups.data.columns import chosen
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.delimited import header_of, read_delimited
from w2s_groups.data.files.parquet import parquet_columns, read_parquet
from w2s_groups.data.labels import named
from w2s_groups.data.metadata_csv import dialect_of
from w2s_groups.data.ondisk import Pool
from w2s_groups.data.rows import codes_of, groups_of
from w2s_groups.data.tabular import Rows, kept
from w2s_groups.data.targets import BINS, binned, check_target


@dataclass
class TableFile(Rows):
    """Rows of a delimited table or of a Parquet file; columns may have any names.

    table: its path, below root or absolute; .parquet is read as Parquet. separator, quoting: of a
    delimited table, as in data=metadata_csv. y_column, a_column, split_column: labels are names or
    0, 1, ...; splits 0, 1, 2 or train, val, test; no split column (null) asks for pool=all or
    unsplit. class_names, attribute_names: in the order of the coding; null: the column's own
    values, sorted. target_edges: where the target is cut into the classes y of data without classes
    (y_column null).
    """

    table: str = MISSING
    separator: str | None = MISSING
    quoting: bool | None = MISSING
    y_column: str | None = MISSING
    a_column: str = MISSING
    split_column: str | None = MISSING
    class_names: list[str] | None = MISSING
    attribute_names: list[str] | None = MISSING
    target_edges: list[float] | None = role(Role.if_set, None)

    def read(self, root: Path, cache: Path, progress: Progress) -> TableDataset:
        """All rows of the table with their official split."""
        path = root / user_path("data.table", self.table)
        if not path.is_file():
            raise InputError(
                f"data.table={path} does not exist; set it to the table of {self.name}"
            )
        check_target(self.target_column, self.target_edges, self.y_column)
        labels, drop = self._labels(), [*self.not_inputs, *self.shown.columns]
        target = [] if self.target_column is None else [self.target_column]
        needed = [*(name for name in labels if name != BINS), *target, *self.shown.columns]
        if path.suffix == ".parquet":
            inputs = chosen(parquet_columns(path), labels, self.columns, drop)
            table = read_parquet(path, list(dict.fromkeys([*inputs, *needed])))
        else:
            dialect = dialect_of(self.separator, self.quoting)
            there = header_of(path, [*needed, *self.columns], dialect)
            if set(needed) <= set(there):  # else read_delimited says which is missing
                inputs = chosen(there, labels, self.columns, drop)
            else:
                inputs = list(self.columns)
            table = read_delimited(path, list(dict.fromkeys([*inputs, *needed])), (), dialect)
        names, coded = binned(table, self.target_column, self.target_edges, self.class_names)
        classes, coded = named(coded, labels[0], names, "y")
        attributes, coded = named(coded, self.a_column, self.attribute_names, "a")
        groups = groups_of(classes, attributes, self.minority)
        return kept(*self.whole(table, inputs, codes_of(coded, labels, groups), groups))

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return (folder / user_path("data.table", self.table)).is_file()

    def _labels(self) -> Sequence[str]:
        """The columns of y, a, and the split if there is one."""
        if self.split_column is None and self.pool is Pool.official:
            raise InputError(
                "data.split_column=null leaves no official split; set data.pool=all, or "
                "data.pool=unsplit with splits=crossed or splits=random, or name the column"
            )
        labels = [self.y_column or BINS, self.a_column]
        if self.split_column is not None:
            labels.append(self.split_column)
        if len(set(labels)) < len(labels) or self.target_column in labels:
            raise InputError(
                f"data.y_column, a_column and split_column are {', '.join(labels)}, and "
                f"target_column is {self.target_column}; name a column once"
                if self.target_column in labels
                else f"data.y_column, a_column and split_column are {', '.join(labels)}; name a "
                "column once"
            )
        return labels
