"""From cell files to one Parquet file and back, and the check of both."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results import columns, odd, parquet, store
from w2s_groups.results.store import Damaged, Stored
from w2s_groups.results.tested import Counts

_FIELDS = ("data", "teacher", "student", "n_l", "n_u", "eta_l", "eta_u", "seed")
_RECORD = [name for name in columns.COLUMNS if name not in ("cell", *_FIELDS, *columns.DEFAULTS)]


@dataclass
class Findings:
    """Result of a check: numbers of cells and records, and a line for each fault."""

    cells: int = 0
    records: int = 0
    faults: list[str] = field(default_factory=list)


def compact(folder: Path) -> tuple[int, list[str]]:
    """Write all whole cells of a folder to one Parquet file: (number of cells, damaged files).

    Files of cells that it holds are removed once it is written and read back; damaged ones stay,
    and so do cells that others write meanwhile.
    """
    cells: dict[str, Stored] = {}
    old, damaged = [], []
    for path in parquet.paths(folder):
        try:
            cells |= {cell.key: cell for cell in from_table(parquet.read(path), path)}
            old.append(path)
        except InputError as error:
            damaged.append(str(error))
    files = {key: folder / f"{key}.json" for key in store.loose(folder)}
    compacted = []
    for key, path in files.items():
        try:
            cells[key] = store.read(path)
            compacted.append(path)
        except FileNotFoundError:
            continue
        except Damaged as error:
            damaged.append(f"{path} is damaged: {error}")
        except InputError as error:
            damaged.append(str(error))
    if not compacted and len(old) < 2:
        return len(cells), damaged
    new = parquet.write(folder, to_table(list(cells.values())))
    written = {cell.key for cell in from_table(parquet.read(new), new)}
    if written != set(cells):
        raise InputError(f"{new} does not hold what was written to it; nothing was removed")
    for path in (*compacted, *(path for path in old if path != new)):
        path.unlink(missing_ok=True)
    return len(cells), damaged


def to_table(cells: list[Stored]) -> pd.DataFrame:
    """One row a record: the long table, and parquet.EXTRA in the first row of each cell."""
    cells = sorted(cells, key=lambda cell: cell.key)
    table = store.table_of(cells)
    lengths = [len(cell.records) for cell in cells]
    extra = pd.DataFrame(
        {
            "identity": [_text(cell.identity) for cell in cells],
            "made_with": [_text(cell.made_with) for cell in cells],
            "sha256": [store.checksum(cell) for cell in cells],
            "tested": [cell.tested and _text(cell.tested.as_json()) for cell in cells],
        }
    )
    # Only in a cell's first row: in every one it would be gigabytes for 100,000 cells.
    extra.index = pd.Index(np.cumsum([0, *lengths[:-1]]))
    return pd.concat([table, extra.reindex(table.index)], axis=1)


def from_table(table: pd.DataFrame, path: Path) -> Iterator[Stored]:
    """The cells of a part, each checked against its own checksum; DamagedPart if one fails."""
    # Python's own lists, once: a frame for each of 100,000 cells would take an hour.
    values = {name: table[name].tolist() for name in (*columns.COLUMNS, *parquet.EXTRA)}
    values["value"] = [None if value != value else value for value in values["value"]]
    of = values["cell"]
    starts = [row for row in range(len(of)) if row == 0 or of[row] != of[row - 1]]
    for start, end in itertools.pairwise([*starts, len(of)]):
        tested = values["tested"][start]
        rows = zip(*(values[name][start:end] for name in _RECORD), strict=True)
        cell = Stored(
            of[start],
            json.loads(values["identity"][start]),
            {name: values[name][start] for name in _FIELDS} | _of_several(values, start),
            json.loads(values["made_with"][start]),
            [dict(zip(_RECORD, row, strict=True)) for row in rows],
            Counts.of_json(json.loads(tested)) if isinstance(tested, str) else None,
        )
        whole = store.checksum(cell) == values["sha256"][start]
        if not whole or store.cell_key(cell.identity) != cell.key:
            raise parquet.damaged(path, f"its cell {cell.key} differs from its checksum")
        if fault := odd.of_cell(cell.fields, cell.records):
            raise parquet.damaged(path, f"its cell {cell.key}: {fault}")
        yield cell


def _of_several(values: Mapping[str, list[Any]], start: int) -> dict[str, Any]:
    """The fields that only cells of several splits have."""
    several = [name for name in columns.DEFAULTS if name in columns.RUN]
    own = {name: values[name][start] for name in several}
    return {} if all(own[name] == columns.DEFAULTS[name] for name in several) else own


def every(folder: Path, faults: list[str], remedy: str = "") -> Iterator[tuple[Path, Stored]]:
    """The cells of a folder with the files that hold them; adds a line for each other file.

    remedy: of a damaged file, after what is wrong.
    """
    for path in parquet.paths(folder):
        try:
            yield from ((path, cell) for cell in from_table(parquet.read(path), path))
        except InputError as error:
            faults.append(str(error))
    for key in store.loose(folder):
        path = folder / f"{key}.json"
        try:
            yield path, store.read(path)
        except FileNotFoundError:
            continue
        except Damaged as error:
            faults.append(f"{path} is damaged: {error}{remedy}")
        except InputError as error:
            faults.append(str(error))


def verify(folder: Path) -> Findings:
    """Check checksums, names, records, and cells that are stored twice and differ."""
    findings = Findings()
    seen: dict[str, bytes] = {}

    def take(cell: Stored, where: Path) -> None:
        data = store.encoded(cell)
        if seen.setdefault(cell.key, data) != data:
            findings.faults.append(f"{where}: cell {cell.key} is there twice, with other numbers")
            return
        findings.records += len(cell.records)

    for path, cell in every(folder, findings.faults, "; delete it and it is made again"):
        take(cell, path)
    findings.cells = len(seen)
    return findings


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
