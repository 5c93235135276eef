"""A table of one's own of images or texts: columns, codings and splits as they are named there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import user_path
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import Listed
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.delimited import Dialect, read_delimited
from w2s_groups.data.labels import named
from w2s_groups.data.ondisk import OnDisk, Pool
from w2s_groups.data.rows import check_texts, dataset_of, groups_of, texts_of
from w2s_groups.data.targets import BINS, binned, check_target


@dataclass
class MetadataCsv(OnDisk):
    """Images that a delimited table lists, or its texts; columns may have any names.

    table: the table's path, below root or absolute. separator: what stands between its values, one
    character or "tab"; null: the one under which the header has all columns. quoting: whether
    quotation marks are CSV's; null: as read_delimited decides it. file_column, y_column, a_column,
    split_column: its columns; file names are relative to root; no split column (null) asks for
    pool=all or unsplit. text_columns: a column of texts, or two of pairs, in place of file_column.
    Labels are names or 0, 1, ...; splits 0, 1, 2 or train, val, test. class_names, attribute_names:
    in the order of the coding; null: the column's own values, sorted. minority: (y, a) pairs; empty
    means a != y. target_column: of numbers, which task=regression learns. target_edges: where that
    target is cut into the classes y of data without classes (y_column null). The defaults read the
    tables id,filename,split,y,a of SubpopBench and BalancingGroups.
    """

    table: str = MISSING
    separator: str | None = MISSING
    quoting: bool | None = MISSING
    file_column: str = MISSING
    text_columns: list[str] = MISSING
    y_column: str | None = MISSING
    a_column: str = MISSING
    split_column: str | None = MISSING
    class_names: list[str] | None = MISSING
    attribute_names: list[str] | None = MISSING
    minority: list[list[int]] = MISSING
    target_column: str | None = role(Role.if_set, None)
    target_edges: list[float] | None = role(Role.if_set, None)

    def read(self, root: Path, cache: Path, progress: Progress) -> Listed:
        """All images or texts below `root` with their official split."""
        check_texts(self.text_columns)
        path = root / user_path("data.table", self.table)
        if not path.is_file():
            raise InputError(
                f"data.table={path} does not exist; set it to the table of {self.name}"
            )
        if self.split_column is None and self.pool is Pool.official:
            raise InputError(
                "data.split_column=null leaves no official split; set data.pool=all, or "
                "data.pool=unsplit with splits=crossed or splits=random, or name the column"
            )
        check_target(self.target_column, self.target_edges, self.y_column)
        labels = [self.y_column or BINS, self.a_column]
        if self.split_column is not None:
            labels.append(self.split_column)
        columns = [*(self.text_columns or [self.file_column]), *labels]
        needed = [column for column in (*columns, self.target_column) if column not in (None, BINS)]
        if len(set(needed)) < len(needed):
            raise InputError(
                f"data.{'text_columns' if self.text_columns else 'file_column'}, y_column, "
                f"a_column{', target_column' if self.target_column else ''} and split_column are "
                f"{', '.join(needed)}; name a column once"
            )
        needed += self.shown.columns
        dialect = dialect_of(self.separator, self.quoting)
        table = read_delimited(path, needed, self.text_columns, dialect)
        names, table = binned(table, self.target_column, self.target_edges, self.class_names)
        classes, table = named(table, labels[0], names, "y")
        attributes, table = named(table, self.a_column, self.attribute_names, "a")
        groups = groups_of(classes, attributes, self.minority)
        also = (self.shown, self.target_column)
        if self.text_columns:
            columns = self.text_columns
            return texts_of(self.name, table, columns, labels, groups, *also)
        return dataset_of(self.name, root, table, columns, groups, *also)

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return (folder / user_path("data.table", self.table)).is_file()


def dialect_of(separator: str | None, quoting: bool | None) -> Dialect:
    """What data.separator and data.quoting say; InputError for a separator that cannot be one."""
    text = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";"}.get(
        separator or "", separator
    )
    if text is not None and (len(text) != 1 or text in '"\r\n'):
        raise InputError(
            f"data.separator={separator!r} must be one character, tab, comma or semicolon; null "
            "finds it"
        )
    return Dialect(text, quoting)
