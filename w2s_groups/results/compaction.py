"""From cell files to one Parquet file and back, and the check of both."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2s_groups.core.errors import InputError
from w2s_groups.results import columns, parquet, store
from w2s_groups.results.store import Damaged, Stored

_FIELDS = ("data", "teacher", "student", "n_l", "n_u", "eta_l", "eta_u", "seed")
_ATOM = [name for name in columns.COLUMNS if name not in ("cell", *_FIELDS)]


@dataclass
class Findings:
    """What a check found: cells that hold, and a line for everything that does not."""

    cells: int = 0
    atoms: int = 0
    faults: list[str] = field(default_factory=list)


def compact(folder: Path) -> tuple[int, list[str]]:
    """Fold all cells of a folder into one Parquet file; (cells in it, damaged files left alone).

    What was folded is removed once the new file is there and holds it. Cells that others write
    meanwhile stay files.
    """
    old = parquet.paths(folder)
    cells, damaged = {}, []
    for path in old:
        for cell in unfold(parquet.read(path), path):
            cells[cell.key] = cell
    files = {key: folder / f"{key}.json" for key in store.loose(folder)}
    folded = []
    for key, path in files.items():
        try:
            cells[key] = store.read(path)
            folded.append(path)
        except FileNotFoundError:
            continue
        except Damaged as error:
            damaged.append(f"{path} is damaged: {error}")
    if not folded and len(old) < 2:
        return len(cells), damaged
    new = parquet.write(folder, fold(list(cells.values())))
    written = {cell.key for cell in unfold(parquet.read(new), new)}
    if written != set(cells):
        raise InputError(f"{new} does not hold what was written to it; nothing was removed")
    for path in (*folded, *(path for path in old if path != new)):
        path.unlink(missing_ok=True)
    return len(cells), damaged


def fold(cells: list[Stored]) -> pd.DataFrame:
    """One row an atom: the long table, and parquet.EXTRA in the first row of each cell."""
    cells = sorted(cells, key=lambda cell: cell.key)
    table = store.table_of(cells)
    lengths = [len(cell.atoms) for cell in cells]
    extra = pd.DataFrame(
        {
            "identity": [_text(cell.identity) for cell in cells],
            "made_with": [_text(cell.made_with) for cell in cells],
            "sha256": [store.checksum(cell) for cell in cells],
        }
    )
    # In a cell's first row alone: in every one it would be gigabytes for 100,000 cells.
    extra.index = pd.Index(np.cumsum([0, *lengths[:-1]]))
    return pd.concat([table, extra.reindex(table.index)], axis=1)


def unfold(table: pd.DataFrame, path: Path) -> Iterator[Stored]:
    """The cells of a part, each checked against its own checksum. InputError for one that fails."""
    # Python's own lists, once: a frame for each of 100,000 cells would take an hour.
    values = {name: table[name].tolist() for name in (*columns.COLUMNS, *parquet.EXTRA)}
    values["value"] = [None if value != value else value for value in values["value"]]
    of = values["cell"]
    starts = [row for row in range(len(of)) if row == 0 or of[row] != of[row - 1]]
    for start, end in itertools.pairwise([*starts, len(of)]):
        rows = zip(*(values[name][start:end] for name in _ATOM), strict=True)
        cell = Stored(
            of[start],
            json.loads(values["identity"][start]),
            {name: values[name][start] for name in _FIELDS},
            json.loads(values["made_with"][start]),
            [dict(zip(_ATOM, row, strict=True)) for row in rows],
        )
        whole = store.checksum(cell) == values["sha256"][start]
        if not whole or store.cell_key(cell.identity) != cell.key:
            raise InputError(f"{path}: cell {cell.key} differs from its checksum; restore the file")
        yield cell


def verify(folder: Path) -> Findings:
    """Checksums, names, the long table's schema, and cells that are there twice and differ."""
    found = Findings()
    seen: dict[str, bytes] = {}

    def take(cell: Stored, where: Path) -> None:
        data = store.encoded(cell)
        if seen.setdefault(cell.key, data) != data:
            found.faults.append(f"{where}: cell {cell.key} is there twice, with other numbers")
            return
        try:
            columns.canonical(store.table_of([cell]))
        except InputError as error:
            found.faults.append(f"{where}: {error}")
            return
        found.atoms += len(cell.atoms)

    for path in parquet.paths(folder):
        try:
            for cell in unfold(parquet.read(path), path):
                take(cell, path)
        except InputError as error:
            found.faults.append(str(error))
    for key in store.loose(folder):
        path = folder / f"{key}.json"
        try:
            take(store.read(path), path)
        except Damaged as error:
            found.faults.append(f"{path} is damaged: {error}; delete it and it is made again")
        except FileNotFoundError:
            continue
    found.cells = len(seen)
    return found


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
