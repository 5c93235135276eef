"""Parquet files as tables of texts, so that one set of rules reads every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import parquet
from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.data.files.table import Table, places_of


def parquet_columns(path: Path) -> list[str]:
    """Column names of a Parquet file. Raises InputError if it can't be read."""
    try:
        return list(parquet.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_parquet(path: Path, needed: Sequence[str]) -> Table:
    """The needed columns, each value as its text: a missing one empty, true and false as 1 and 0.

    Numbers keep every digit. Raises InputError for a column that is missing or there twice, a file
    without rows, or one that can't be read.
    """
    places_of(parquet_columns(path), needed, path)
    try:
        read = parquet.read_table(path, columns=list(needed))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    if not read.num_rows:
        raise InputError(f"{path} lists no row; restore its rows")
    columns = {name: tuple(map(_text, read.column(name).to_pylist())) for name in needed}
    return Table(path, tuple(range(read.num_rows)), columns, unit="row")


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"{path} can't be read as Parquet ({reason}); write it again")


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN, which pandas writes for a missing value
        return ""
    return str(int(value) if isinstance(value, bool) else value).strip()
