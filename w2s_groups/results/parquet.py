"""Compacted cells in Parquet: their long table, with identity and origin in further columns.

A part is named by its content. Compaction writes a new part and only then removes what it holds, so
that two at once, or one that is killed, lose nothing: readers take the union.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.core.lazy import compute as pc
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import parquet as pq
from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.results.columns import COLUMNS, DEFAULTS, POINT, RUN, SETUP, filled
from w2s_groups.results.tested import Counts

# JSON, JSON, checksum of the cell's file, JSON of the counts by identity where it has such.
EXTRA = ("identity", "made_with", "sha256", "tested")
FIELDS = (*SETUP, *POINT, *RUN)
_NEW = {*DEFAULTS, "tested"}
_PATTERN = "cells-*.parquet"


def paths(folder: Path) -> list[Path]:
    """The parts of a folder."""
    return sorted(folder.glob(_PATTERN))


def keys(folder: Path) -> list[str]:
    """Keys of all cells in the folder's parts."""
    distinct: set[str] = set()
    for table in _read(folder, ["cell"]):
        distinct.update(pc.unique(table["cell"]).to_pylist())
    return sorted(distinct)


def load(folder: Path, wanted: set[str]) -> list[pd.DataFrame]:
    """The long tables of the wanted cells, each cell once."""
    tables = []
    left = set(wanted)
    for table in _read(folder, list(COLUMNS)):
        here = left.intersection(pc.unique(table["cell"]).to_pylist())
        if here:
            mask = pc.is_in(table["cell"], value_set=pa.array(sorted(here)))
            tables.append(filled(table.filter(mask).to_pandas()))
            left -= here
    return tables


def write(folder: Path, table: pd.DataFrame) -> Path:
    """Write a part of COLUMNS and EXTRA, one row a record; returns its path."""
    buffer = io.BytesIO()
    unused = [name for name, default in DEFAULTS.items() if (table[name] == default).all()]
    unused += [] if table["tested"].notna().any() else ["tested"]
    columns = [name for name in (*COLUMNS, *EXTRA) if name not in unused]
    arrow = pa.Table.from_pandas(table[columns], preserve_index=False)
    pq.write_table(arrow, buffer, compression="zstd")
    data = buffer.getvalue()
    path = folder / f"cells-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    write_atomic(path, data)
    return path


def read(path: Path) -> pd.DataFrame:
    """A whole part, EXTRA included; InputError if it is not one."""
    table = filled(_open(path, [*COLUMNS, *EXTRA]).to_pandas())
    return table if "tested" in table else table.assign(tested=None)


def tested(folder: Path, wanted: set[str]) -> Iterator[tuple[dict[str, Any], Counts]]:
    """Fields and counts by identity of the wanted cells that have such."""
    for table in _read(folder, [*FIELDS, "cell", "tested"]):
        if "tested" in table.column_names:
            rows = table.filter(pc.is_valid(table["tested"])).to_pylist()
            for row in rows:
                if row["cell"] in wanted:
                    yield {n: row[n] for n in FIELDS}, Counts.of_json(json.loads(row["tested"]))


def _read(folder: Path, columns: list[str]) -> Iterator[pa.Table]:
    for path in paths(folder):
        try:
            yield _open(path, columns)
        except FileNotFoundError:  # compacted into another part, which a new list shows
            yield from (_open(p, columns) for p in paths(folder))
            return


def _open(path: Path, columns: list[str]) -> pa.Table:
    try:
        there = pq.read_schema(path).names  # a part of an older version lacks some
        return pq.read_table(
            path, columns=[name for name in columns if name in there or name not in _NEW]
        )
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} cannot be read ({reason}): restore it from a copy, or delete it and its cells "
            "are made again"
        ) from error
