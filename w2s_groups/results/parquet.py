"""Compacted cells in Parquet: their long table, with identity and origin in further columns.

A part is named by the hash of its content, which is checked whenever it is read: Parquet itself
checks few of its bytes. Compaction writes a new part and only then removes what it holds, so
that two at once, or one that is killed, lose nothing: readers take the union.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import listed, read_file, write_atomic
from w2s_groups.core.lazy import compute as pc
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import parquet as pq
from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.results import odd
from w2s_groups.results.columns import COLUMNS, DEFAULTS
from w2s_groups.results.tested import Counts

# JSON, JSON, checksum of the cell's file, JSON of the counts by identity where it has such.
EXTRA = ("identity", "made_with", "sha256", "tested")
_NEW = {*DEFAULTS, "tested"}
_TEXTS = [name for name, (kind, _) in COLUMNS.items() if kind == "str"]
_REMEDY = "restore it from a copy, or delete it"
_said: set[str] = set()  # damaged parts that this process has named

log = logging.getLogger(__name__)


class DamagedPart(InputError):
    """A part whose content is not what it is named by, or is not a part."""


def paths(folder: Path) -> list[Path]:
    """The parts of a folder."""
    names = listed(folder)
    return [folder / n for n in names if n.startswith("cells-") and n.endswith(".parquet")]


def keys(folder: Path) -> list[str]:
    """Keys of all cells in the folder's parts."""
    distinct: set[str] = set()
    for table in _read(folder, ["cell"]):
        distinct.update(odd.names_of(table, "cell"))
    return sorted(distinct)


def load(folder: Path, wanted: set[str]) -> list[pd.DataFrame]:
    """The long tables of the wanted cells, each cell once."""
    tables = []
    left = set(wanted)
    for table in _read(folder, list(COLUMNS)):
        cells = odd.names_of(table, "cell")
        here = np.array([cell in left for cell in cells], dtype=bool)
        if here.any():
            rows = None if here.all() else np.flatnonzero(here[odd.codes_of(table, "cell")])
            tables.append(_frame(table, rows))
            left.difference_update(cells)
    return tables


def _frame(table: pa.Table, rows: NDArray[np.intp] | None) -> pd.DataFrame:
    """The long table of some rows of a part, None: of all. A text is one object, not one a row."""
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name not in table.column_names:
            n = len(table) if rows is None else len(rows)
            kind = object if isinstance(DEFAULTS[name], str) else None
            columns[name] = np.full(n, DEFAULTS[name], dtype=kind)
        elif name in _TEXTS:
            codes = odd.codes_of(table, name)
            texts = np.array(odd.names_of(table, name), dtype=object)
            columns[name] = texts[codes if rows is None else codes[rows]]
        else:
            values = table[name].to_numpy()
            columns[name] = values if rows is None else values[rows]
    return pd.DataFrame(columns, copy=False)


def write(folder: Path, table: pd.DataFrame) -> Path:
    """Write a part of COLUMNS and EXTRA, one row a record; returns its path."""
    buffer = io.BytesIO()
    unused = [name for name, default in DEFAULTS.items() if (table[name] == default).all()]
    unused += [] if table["tested"].notna().any() else ["tested"]
    columns = [name for name in (*COLUMNS, *EXTRA) if name not in unused]
    arrow = pa.Table.from_pandas(table[columns], preserve_index=False)
    pq.write_table(arrow, buffer, compression="zstd")
    data = buffer.getvalue()
    path = folder / _name(hashlib.sha256(data).hexdigest())
    write_atomic(path, data)
    return path


def read(path: Path) -> pd.DataFrame:
    """All rows of a part, EXTRA included; DamagedPart if it is not whole."""
    table = _open(path, [*COLUMNS, *EXTRA])
    extra = {n: table[n].to_numpy() if n in table.column_names else None for n in EXTRA}
    return _frame(table, None).assign(**extra)


def tested(folder: Path, wanted: set[str]) -> Iterator[tuple[dict[str, Any], Counts]]:
    """Fields and counts by identity of the wanted cells that have such, each cell once."""
    left = set(wanted)
    for table in _read(folder, [*odd.FIELDS, "cell", "tested"]):
        if "tested" in table.column_names:
            rows = table.filter(pc.is_valid(table["tested"])).to_pylist()
            for row in rows:
                if row["cell"] in left:
                    left.remove(row["cell"])
                    fields = {name: row.get(name, DEFAULTS.get(name)) for name in odd.FIELDS}
                    yield fields, Counts.of_json(json.loads(row["tested"]))


def _read(folder: Path, columns: list[str]) -> Iterator[pa.Table]:
    """The whole parts of a folder; a warning names each damaged one, which counts as absent."""
    try:
        yield from _undamaged(paths(folder), columns)
    except FileNotFoundError:  # compacted into another part, which a new list shows
        yield from _undamaged(paths(folder), columns)


def _undamaged(parts: list[Path], columns: list[str]) -> Iterator[pa.Table]:
    for path in parts:
        try:
            yield _open(path, columns)
        except DamagedPart as error:
            if str(error) not in _said:
                log.warning("%s; its cells count as absent and are made again", error)
                _said.add(str(error))


def _open(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a part in one chunk, the texts as dictionaries; DamagedPart if it is not whole."""
    data = read_file(path)
    if _name(hashlib.sha256(data).hexdigest()) != path.name:
        raise damaged(path, "its name is not the hash of its content")
    try:
        there = pq.read_schema(pa.BufferReader(data)).names  # an older version lacks some
        asked = [name for name in columns if name in there or name not in _NEW]
        if absent := set(asked) - set(there):
            raise damaged(path, f"it lacks the columns {', '.join(sorted(absent))}")
        texts = [name for name in _TEXTS if name in there]
        part = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        table = part.read(columns=asked).unify_dictionaries().combine_chunks()
    except DamagedPart:
        raise
    except (pa.ArrowException, ValueError, OSError) as error:
        raise damaged(path, " ".join(str(error).split())[:200]) from error
    if set(COLUMNS) <= {*columns} and (fault := odd.of_columns(table)):
        raise damaged(path, fault)
    return table


def _name(sha256: str) -> str:
    return f"cells-{sha256[:16]}.parquet"


def damaged(path: Path, reason: str) -> DamagedPart:
    """The error of a part, with what to do."""
    return DamagedPart(f"{path} is damaged ({reason}): {_REMEDY}")
