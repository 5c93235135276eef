"""One file per cell, written atomically: its configuration, its origin, its records, a checksum.

Many writers may share a folder without a lock: a cell's bytes follow from its key, so the last one
writes what was there. Cells that were compacted into Parquet files are read from those.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from w2s_groups.core.files import listed, read_file, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results import odd, parquet
from w2s_groups.results.columns import COLUMNS, DEFAULTS
from w2s_groups.results.tested import Counts

_FEW = 100  # files that are looked for one by one, not in a list of the folder

log = logging.getLogger(__name__)


class Damaged(ValueError):
    """A cell file that is not whole; the text says why."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A cell as it is kept.

    identity: the scientific configuration that its key is the hash of. fields: its own columns of
    the long table. made_with: versions and machine. records: the other columns' rows. tested:
    counts by identity and place, of a run over several splits.
    """

    key: str
    identity: Mapping[str, Any]
    fields: Mapping[str, Any]
    made_with: Mapping[str, Any]
    records: list[dict[str, Any]]
    tested: Counts | None = None


def digest(value: Any) -> str:
    """sha256 of a value as canonical JSON, hexadecimal."""
    return hashlib.sha256(_canonical(value)).hexdigest()


def cell_key(identity: Mapping[str, Any]) -> str:
    """Key of a cell, such as `2b5a5e0c2b8d0d49-v3`.

    16 hex digits of the hash of its scientific configuration, and the version of the code that its
    numbers come from (identity["numerics"]).
    """
    rest = {name: value for name, value in identity.items() if name != "numerics"}
    return f"{digest(rest)[:16]}-v{identity['numerics']}"


def save(folder: Path, cell: Stored) -> None:
    """Write one cell. No time is in it: the same cell made again has the same bytes."""
    write_atomic(folder / f"{cell.key}.json", encoded(cell))


def encoded(cell: Stored) -> bytes:
    """The cell's file: canonical JSON whose last entry is the checksum of all the others."""
    payload = _payload(cell)
    return payload[:-1] + b',"sha256":"%s"}' % hashlib.sha256(payload).hexdigest().encode()


def checksum(cell: Stored) -> str:
    """sha256 of the rest of a cell's file."""
    return hashlib.sha256(_payload(cell)).hexdigest()


def _payload(cell: Stored) -> bytes:
    return _canonical(
        {
            "identity": cell.identity,
            "cell": cell.fields,
            "made_with": cell.made_with,
            "atoms": cell.records,
            **({"tested": cell.tested.as_json()} if cell.tested is not None else {}),
        }
    )


def read(path: Path) -> Stored:
    """The cell in a file. Raises FileNotFoundError, or Damaged with the reason.

    InputError where there is something that is not a file, or that the system does not let us read.
    """
    data = read_file(path)
    try:
        content = json.loads(data)
        sha256 = content.pop("sha256")
        tail = b',"sha256":"%s"}' % sha256.encode()
        # The checksum is of the bytes as they were written: nothing is encoded anew.
        as_written = data.endswith(tail) and hashlib.sha256(data[: -len(tail)] + b"}").hexdigest()
        if as_written != sha256 and digest(content) != sha256:
            raise Damaged("its checksum differs")
        key = path.name.removesuffix(".json")
        fields = (content[name] for name in ("identity", "cell", "made_with", "atoms"))
        tested = Counts.of_json(content["tested"]) if "tested" in content else None
        cell = replace(Stored(key, *fields), tested=tested)
        if cell_key(cell.identity) != cell.key:
            raise Damaged("its name is not the hash of the configuration inside")
        if fault := odd.of_cell(cell.fields, cell.records):
            raise Damaged(fault)
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"it is not a cell file: {error}") from error
    return cell


def table_of(cells: Iterable[Stored]) -> pd.DataFrame:
    """The long table of cells, one row a record (columns: COLUMNS)."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for cell in cells:
        for name, values in columns.items():
            if name == "cell":
                values += [cell.key] * len(cell.records)
            elif name in cell.fields or name in DEFAULTS:
                values += [cell.fields.get(name, DEFAULTS.get(name))] * len(cell.records)
            else:
                values += [record[name] for record in cell.records]
    return pd.DataFrame(columns).astype({"value": "float64"})


def there(folder: Path, wanted: Iterable[str]) -> set[str]:
    """Those of the wanted cells that are there and whole, which `load` would read."""
    asked = set(wanted)
    found = {cell.key for cell in _whole(folder / f"{key}.json" for key in asked) if cell.records}
    missing = asked - found
    return found | missing.intersection(parquet.keys(folder) if missing else ())


def load(folder: Path, wanted: Iterable[str]) -> pd.DataFrame:
    """The long table of the wanted cells that are there and whole.

    A warning names each damaged cell. 100,000 cells take seconds from Parquet, a minute from files.
    """
    asked = dict.fromkeys(wanted)
    table = table_of(_whole(_files(folder, asked)))
    # Parquet after the files: a cell that was compacted in the meantime is in one of the two.
    missing = set(asked) - set(table["cell"].unique())
    tables = [table, *parquet.load(folder, missing)] if missing else [table]
    tables = [t for t in tables if len(t)] or [table]
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def tested(folder: Path, wanted: Iterable[str]) -> Iterator[tuple[Mapping[str, Any], Counts]]:
    """Fields and counts by identity of the wanted cells that have such."""
    asked = list(dict.fromkeys(wanted))
    there = set()
    for cell in _whole(_files(folder, asked)):
        there.add(cell.key)
        if cell.tested is not None:
            yield cell.fields, cell.tested
    yield from parquet.tested(folder, set(asked) - there)


def keys(folder: Path) -> list[str]:
    """Keys of all cells of a folder."""
    return sorted({*loose(folder), *parquet.keys(folder)})


def holds_cells(folder: Path) -> bool:
    """Whether a folder has files of cells, whole or damaged."""
    return bool(loose(folder) or parquet.paths(folder))


def loose(folder: Path) -> list[str]:
    """Keys of the cell files of a folder."""
    return [name[:-5] for name in listed(folder) if name.endswith(".json") and name[0] != "."]


def other_versions(folder: Path, of: Iterable[str]) -> list[str]:
    """Keys in the folder that differ from one of `of` only in the version of the code."""
    known = set(of)
    stems = {key.rpartition("-v")[0] for key in known}
    present = {*loose(folder), *parquet.keys(folder)}
    return sorted(key for key in present - known if key.rpartition("-v")[0] in stems)


def _files(folder: Path, asked: Collection[str]) -> Iterator[Path]:
    """Where the files of the cells may be; of many, only of those that are there."""
    there = asked if len(asked) <= _FEW else set(loose(folder))
    return (folder / f"{key}.json" for key in asked if key in there)


def _whole(paths: Iterable[Path]) -> Iterator[Stored]:
    for path in paths:
        try:
            yield read(path)
        except FileNotFoundError:
            continue  # not made, or compacted
        except Damaged as error:
            log.warning("%s is damaged (%s) and will be made again", path, error)


def _canonical(value: Any) -> bytes:
    """JSON with one spelling: sorted keys, no spaces, null for NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
