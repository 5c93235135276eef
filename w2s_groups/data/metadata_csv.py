"""A table of one's own of images or texts: columns, codings and splits as they are named there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import Listed
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.delimited import Dialect, read_delimited
from w2s_groups.data.files.table import Table, is_missing
from w2s_groups.data.ondisk import OnDisk, Pool
from w2s_groups.data.rows import check_texts, dataset_of, groups_of, texts_of
from w2s_groups.data.targets import BINS, binned, check_target

_MOST = 1000  # codes that a column of integers may stand for
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,8})")


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
        path = root / Path(self.table).expanduser()
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
        return (folder / Path(self.table).expanduser()).is_file()


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


def named(
    table: Table, column: str, given: Sequence[str] | None, letter: str
) -> tuple[Sequence[str], Table]:
    """Names of a column's codes, and the table that has it in names or codes that fit them.

    given: the names; None takes them from the column's values.
    """
    if given is not None:
        return given, table
    names, codes = _coding(table, column, letter)
    return names, replace(table, columns={**table.columns, column: codes})


def _coding(table: Table, column: str, letter: str) -> tuple[list[str], tuple[str, ...]]:
    """Names for the values of a column, and the column as codes.

    Whole numbers from 0 are codes already: one that no row has is an absent class, and the names
    are y0, y1, ... Anything else is a name; whole numbers are sorted as such.
    """
    texts = table.columns[column]
    values = set(texts)
    _refuse_missing(table, column, {"y": "class_names", "a": "attribute_names"}[letter])
    _refuse_spellings(table, column)
    whole = all(map(_WHOLE.fullmatch, values))
    names = sorted(values, key=int if whole else None)
    if whole and names[0] == "0" and int(names[-1]) < _MOST:
        names = [str(code) for code in range(max(int(names[-1]) + 1, 2))]
    if not 2 <= len(names) <= _MOST:
        raise InputError(
            f"{table.path}: column {column} has values from {names[0]!r} to {names[-1]!r}, and 2 "
            f"to {_MOST} classes can be distinguished; name another column or other values"
        )
    code = {name: str(n) for n, name in enumerate(names)}
    shown = [f"{letter}{name}" for name in names] if whole else names
    return shown, tuple(code[text] for text in texts)


def _refuse_spellings(table: Table, column: str) -> None:
    """InputError where values of a column may be one label: 1 and 1.0, Cat and cat, 0 and cat."""
    texts = table.columns[column]
    numbers = set(filter(_WHOLE.fullmatch, set(texts)))
    words = {text for text in texts if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text)}
    if numbers and words:
        row = next(row for row, text in enumerate(texts) if text in words)
        raise InputError(
            f"{table.where(row)}: {column}={texts[row]!r} is a name, and others are numbers such "
            f"as {min(numbers)}, which may be codes of the same classes; write all in one way, or "
            "list all as names of classes in data.class_names or data.attribute_names"
        )
    first: dict[str, str] = {}
    for text in sorted(set(texts)):
        plain = f"{float(text):g}" if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text) else text
        other = first.setdefault(" ".join(plain.casefold().split()), text)
        if other != text:
            row = texts.index(text)
            raise InputError(
                f"{table.where(row)}: {column}={text!r} and {other!r} read as one label in two "
                "spellings; write it in one way, or list both as names of classes in data."
                "class_names or data.attribute_names"
            )


def _refuse_missing(table: Table, column: str, field: str) -> None:
    """InputError where a label of a column says that there is none. field: where names go."""
    texts = table.columns[column]
    values = set(texts)
    if "" in values:
        raise InputError(f"{table.where(texts.index(''))}: {column} is empty; fill it in")
    below = {text for text in values if re.fullmatch(r"-[0-9]+(\.0*)?", text)}
    if not below or (not {"0", "0.0"} & values and all(map(_WHOLE.fullmatch, values))):
        below = set()  # -1 and 1 are two classes; -1 next to 0 or to names is a label not given
    for row, text in enumerate(texts):
        if is_missing(text) or text in below:
            more = texts.count(text) - 1
            remedy = (
                "give each class a name in the table, or take the rows out"
                if text in below
                else f"take the rows out, or list all classes in data.{field} if it is one"
            )
            raise InputError(
                f"{table.where(row)}{f' and {more} more' if more else ''}: {column}={text!r} "
                f"reads as a missing label; {remedy}"
            )
