"""Columns of texts as numbers or categories, by rules that never guess."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.base import Columns
from w2s_groups.data.files.table import Table, is_missing

MOST = 1000  # categories of a column
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_LETTER = re.compile(r"[^\W\d_]")


class Missing(Enum):
    """What to do about a missing value of an input column: refuse it, leave its row out, or mark it
    (a missing category is a category; a missing number the mean, and a column that says so).
    """

    stop = "stop"
    drop = "drop"
    mark = "mark"


def chosen(
    there: Sequence[str], labels: Sequence[str], columns: Sequence[str], drop: Sequence[str]
) -> list[str]:
    """The input columns of a table: data.columns, or all but its labels, without data.drop.

    there: the table's columns. labels: those of y, a, and the split if given. Raises InputError for
    a name that is not a column or comes twice, for y or the split among the inputs, a column
    without a name, and where no input is left.
    """
    known = [name for name in there if name]
    for field, names in (("columns", columns), ("drop", drop)):
        for name in names:
            if name not in known:
                raise unknown_name(f"data.{field}", name, known)
        if len(set(names)) < len(names):
            raise InputError(f"data.{field}={list(names)} names a column twice; name it once")
    for field, name in zip(("y_column", "a_column", "split_column"), labels, strict=False):
        if name in columns and field != "a_column":
            raise InputError(
                f"data.columns names {name}, which is data.{field} and no input; leave it out"
            )
    if not columns and len(known) < len(there):
        raise InputError(
            "the table has a column without a name, as pandas writes its index; name the column, "
            "or list the inputs in data.columns"
        )
    wanted = columns or [name for name in known if name not in labels]
    found = [name for name in wanted if name not in drop]
    if not found:
        raise InputError(
            "data.columns and data.drop leave no column to learn from; list some in data.columns"
        )
    return found


def typed(
    table: Table, names: Sequence[str], categories: Sequence[str], missing: Missing
) -> tuple[Columns, NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """The columns `names` of a table: what they are, (N, k) numbers, (N, m) codes, (N,) mask.

    A column is of numbers where every value is one. It is of categories where none is one, or where
    `categories` lists it. Raises InputError with the line for a column of both, for values without
    a letter that are no numbers (dates, 3,5), for more than MOST categories, and, by `missing`, for
    a missing value. The mask is of the rows that `missing` keeps: of drop, those without any.
    """
    for name in categories:
        if name not in names:
            raise unknown_name("data.categories", name, names)
    keep: NDArray[np.bool_] = np.ones(len(table.lines), dtype=bool)
    numbers: dict[str, NDArray[np.float64]] = {}
    codes: dict[str, NDArray[np.int64]] = {}
    vocabulary: dict[str, tuple[str, ...]] = {}
    for name in names:
        texts = table.columns[name]
        absent = _absent(table, name, missing)
        there = set(texts) - absent
        if not there:
            raise InputError(f"{table.path}: {name} holds no value; list it in data.drop")
        if name not in categories and _of_numbers(table, name, there):
            numbers[name] = _values(texts, {**_floats(table, name, there), **_nan(absent)})
            keep &= ~np.isnan(numbers[name]) | (missing is Missing.mark)
            continue
        texts_of = sorted(there | absent if missing is Missing.mark else there)
        if len(texts_of) > MOST:
            raise InputError(
                f"{table.path}: {name} holds {len(texts_of)} different names, such as "
                f"{texts_of[0]!r}, and {MOST} categories can be distinguished; list it in data.drop"
            )
        code = dict.fromkeys(absent, -1) | {text: k for k, text in enumerate(texts_of)}
        codes[name] = np.fromiter(map(code.__getitem__, texts), np.int64, len(texts))
        keep &= codes[name] >= 0
        vocabulary[name] = tuple(texts_of)
    columns = Columns(tuple(numbers), vocabulary)
    n = len(table.lines)
    return columns, _matrix(numbers, n, np.float64), _matrix(codes, n, np.int64), keep


def _absent(table: Table, name: str, missing: Missing) -> set[str]:
    """Values of a column that read as missing; InputError with the line if they may not be."""
    texts = table.columns[name]
    absent = {text for text in set(texts) if is_missing(text)}
    if absent and missing is Missing.stop:
        rows = [row for row, text in enumerate(texts) if text in absent]
        more = f" and {len(rows) - 1} more" if rows[1:] else ""
        raise InputError(
            f"{table.where(rows[0])}{more}: {name}={texts[rows[0]]!r} reads as a missing value; "
            "set data.missing=mark to make it a category or a marked mean, data.missing=drop to "
            f"leave such rows out, or list {name} in data.drop"
        )
    return absent


def _of_numbers(table: Table, name: str, there: set[str]) -> bool:
    """Whether all values are numbers; InputError if some are, or if none is a number or a name."""
    odd = {text for text in there if not _NUMBER.fullmatch(text)}
    if not odd:
        return True
    if odd == there and any(map(_LETTER.search, there)):
        return False
    texts = table.columns[name]
    row = next(row for row, text in enumerate(texts) if text in odd)
    others = "" if odd == there else f", and other values are, such as {min(there - odd)}"
    raise InputError(
        f"{table.where(row)}: {name}={texts[row]!r} is not written as a number{others}; write "
        f"numbers as 1234.5, or list {name} in data.categories if its values are names"
    )


def _floats(table: Table, name: str, there: set[str]) -> dict[str, float]:
    values = {text: float(text) for text in there}
    for text, value in values.items():
        if not np.isfinite(value):
            row = table.columns[name].index(text)
            raise InputError(f"{table.where(row)}: {name}={text} is too large; correct it")
    return values


def _nan(absent: set[str]) -> dict[str, float]:
    return dict.fromkeys(absent, float("nan"))


def _values(texts: Sequence[str], coding: Mapping[str, float]) -> NDArray[np.float64]:
    return np.fromiter(map(coding.__getitem__, texts), np.float64, len(texts))


def _matrix(columns: Mapping[str, NDArray[Any]], n: int, kind: type) -> NDArray[Any]:
    """(n, number of columns)."""
    return np.stack(list(columns.values()), axis=1) if columns else np.empty((n, 0), dtype=kind)
