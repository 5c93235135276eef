"""Compacted cells in Parquet: their long table, with identity and origin in further columns.

A part is named by the hash of its content, which is checked before a process first uses it: Parquet
itself checks few of its bytes. Compaction writes a new part and only then removes what it holds, so
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

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash, write_atomic
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
_REMEDY = "restore it from a copy, or delete it"
_whole: set[tuple[str, int, int, int, int]] = set()  # parts that this process has checked
_said: set[tuple[str, int]] = set()  # damaged parts that this process has named

log = logging.getLogger(__name__)


class DamagedPart(InputError):
    """A part whose content is not what it is named by, or is not a part."""


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
    path = folder / _name(hashlib.sha256(data).hexdigest())
    write_atomic(path, data)
    return path


def read(path: Path) -> pd.DataFrame:
    """All rows of a part, EXTRA included; DamagedPart if it is not whole."""
    table = filled(_open(path, [*COLUMNS, *EXTRA]).to_pandas())
    return table if "tested" in table else table.assign(tested=None)


def tested(folder: Path, wanted: set[str]) -> Iterator[tuple[dict[str, Any], Counts]]:
    """Fields and counts by identity of the wanted cells that have such, each cell once."""
    left = set(wanted)
    for table in _read(folder, [*FIELDS, "cell", "tested"]):
        if "tested" in table.column_names:
            rows = table.filter(pc.is_valid(table["tested"])).to_pylist()
            for row in rows:
                if row["cell"] in left:
                    left.remove(row["cell"])
                    fields = {name: row.get(name, DEFAULTS.get(name)) for name in FIELDS}
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
            one = (str(path), path.stat().st_mtime_ns)
            if one not in _said:
                log.warning("%s; its cells count as absent and are made again", error)
                _said.add(one)


def _open(path: Path, columns: list[str]) -> pa.Table:
    try:
        _check(path)
        there = pq.read_schema(path).names  # a part of an older version lacks some
        return pq.read_table(
            path, columns=[name for name in columns if name in there or name not in _NEW]
        )
    except (FileNotFoundError, DamagedPart):
        raise
    except OSError as error:  # of the disk, which proves nothing of the content
        raise InputError(f"{path} cannot be read ({error.strerror or error}); try again") from error
    except (pa.ArrowException, ValueError) as error:
        raise damaged(path, " ".join(str(error).split())[:200]) from error


def _check(path: Path) -> None:
    """DamagedPart unless the content of a part is what its name says."""
    stat = path.stat()
    seen = (path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if seen in _whole:
        return
    if _name(content_hash(path)) != path.name:
        raise damaged(path, "its name is not the hash of its content")
    _whole.add(seen)


def _name(sha256: str) -> str:
    return f"cells-{sha256[:16]}.parquet"


def damaged(path: Path, reason: str) -> DamagedPart:
    """The error of a part, with what to do."""
    return DamagedPart(f"{path} is damaged ({reason}): {_REMEDY}")
