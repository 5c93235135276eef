"""Outputs on the test rows: one Parquet file a block of cells, next to the stored cells.

A row a cell and method, whose column `output` is (T * k,) float16 over the T rows of the file that
`samples` names: k = 1 for two classes (of the second one) and for a number, else one a class. A
file is named by its cells and by its content, so that the same cells give the same file and damage
shows.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.files import read_file, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import parquet as pq
from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.results.columns import DEFAULTS, POINT, SETUP
from w2s_groups.results.scores.table import Coding
from w2s_groups.results.store import digest

log = logging.getLogger(__name__)

FOLDER = "outputs"
FIELDS = (*SETUP, *POINT, "seed", "fold")
_CODING = b"groups"  # entry of a samples file's metadata
Half = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Samples:
    """The T test rows of a split: id, row, y, a, group, minority, and of a numeric target target.

    target: in standard deviations from its mean over the pool, as the predictions are.
    """

    rows: pd.DataFrame
    coding: Coding

    @property
    def codes(self) -> NDArray[np.int64]:
        """(T,) group codes."""
        of = pd.Index(self.coding.names).get_indexer(pd.Index(self.rows["group"]))
        return np.asarray(of, dtype=np.int64)

    @property
    def truth(self) -> NDArray[Any]:
        """(T,) classes, or the numeric target."""
        numeric = "target" in self.rows
        return self.rows["target" if numeric else "y"].to_numpy()


@dataclass(frozen=True, eq=False)
class CellOutputs:
    """Outputs of a cell. fields: FIELDS -> value; values: method -> (T, k) as stored.

    kind: what they are, as scores.table names it.
    """

    key: str
    fields: Mapping[str, Any]
    kind: str
    values: Mapping[str, Half]
    samples: Samples

    def proba(self, method: str) -> NDArray[np.float64]:
        """(T, C) probabilities or scores, or (T, 1) predictions."""
        stored = self.values[method].astype(np.float64)
        numeric = "target" in self.samples.rows
        return stored if numeric or stored.shape[1] > 1 else np.hstack([1 - stored, stored])

    def frame(self, method: str) -> pd.DataFrame:
        """The test rows with the columns `output_0`, ... of one method."""
        proba = self.proba(method)
        return self.samples.rows.assign(**{f"output_{k}": c for k, c in enumerate(proba.T)})


class Held(NamedTuple):
    """Where the outputs of a cell are, and of which methods."""

    path: Path
    methods: frozenset[str]


def write(
    folder: Path,
    samples: Samples,
    kind: str,
    cells: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Half]]],
) -> Path:
    """Write the outputs of a block below an experiment's folder; the path of its file.

    cells: key -> fields, and method -> (T, k). An older file of the same cells is replaced.
    """
    name, data = _samples_file(samples)
    if not (folder / FOLDER / name).is_file() or not _whole(folder / FOLDER / name):
        write_atomic(folder / FOLDER / name, data)
    rows = [
        {
            "cell": key, **{n: {**DEFAULTS, **fields}[n] for n in FIELDS}, "method": method,
            "kind": kind, "samples": name, "output": values.reshape(-1),
        }
        for key, (fields, of_methods) in cells.items()
        for method, values in of_methods.items()
    ]  # fmt: skip
    columns = {n: [row[n] for row in rows] for n in rows[0]}
    columns["output"] = pa.array(columns["output"], type=pa.list_(pa.float16()))
    data = _parquet(pa.table(columns))
    prefix = f"block-{digest(sorted(cells))[:16]}"
    path = folder / FOLDER / f"{prefix}-{_checksum(data)}.parquet"
    write_atomic(path, data)
    for old in path.parent.glob(f"{prefix}-*.parquet"):
        if old != path:
            old.unlink(missing_ok=True)
    return path


def files(folder: Path) -> list[Path]:
    """The files of outputs of an experiment, samples included."""
    return sorted((folder / FOLDER).glob("*.parquet"))


def held(folder: Path) -> dict[str, Held]:
    """Key -> where its outputs are, of those whose files are whole; a warning names the others.

    Of two files with the same cell the one with more methods counts.
    """
    found: dict[str, Held] = {}
    whole: dict[str, bool] = {}
    for path in files(folder):
        if path.name.startswith("block-") and (data := _read(path)) is not None:
            table = pq.read_table(io.BytesIO(data), columns=["cell", "method", "samples"])
            of_cells: dict[str, set[str]] = {}
            for row in table.to_pylist():
                of_cells.setdefault(row["cell"], set()).add(row["method"])
            for name in set(table["samples"].to_pylist()):
                if name not in whole:
                    whole[name] = _read(path.parent / name) is not None
            if not all(whole[name] for name in set(table["samples"].to_pylist())):
                continue
            for key, methods in of_cells.items():
                if key not in found or len(found[key].methods) < len(methods):
                    found[key] = Held(path, frozenset(methods))
    return found


def cells(folder: Path, keys: Iterable[str] | None = None) -> Iterator[CellOutputs]:
    """The outputs of the wanted cells that are there and whole, a file at a time; None: of all."""
    there = held(folder)
    wanted = there.keys() if keys is None else there.keys() & set(keys)
    samples: dict[str, Samples] = {}
    for path in sorted({there[key].path for key in wanted}):
        own = {key for key in wanted if there[key].path == path}
        table = pq.read_table(path).to_pandas()
        for key, rows in table[table["cell"].isin(own)].groupby("cell", sort=True):
            first = rows.iloc[0]
            name = str(first["samples"])
            if name not in samples:
                samples[name] = _samples_of(path.parent / name)
            length = len(samples[name].rows)
            values = {
                str(method): np.asarray(output, dtype=np.float16).reshape(length, -1)
                for method, output in zip(rows["method"], rows["output"], strict=True)
            }
            fields = {n: first[n] for n in FIELDS}
            yield CellOutputs(str(key), fields, str(first["kind"]), values, samples[name])


def load(folder: Path, keys: Iterable[str] | None = None) -> dict[str, CellOutputs]:
    """Key -> the outputs of each wanted cell that is there. folder: results/<experiment>."""
    return {cell.key: cell for cell in cells(folder, keys)}


def faults(folder: Path) -> list[str]:
    """A line for each file that is damaged or lacks its test rows."""
    lines = []
    for path in files(folder):
        if not _whole(path):
            lines.append(f"{path} differs from the checksum in its name; delete it")
        elif path.name.startswith("block-"):
            names = set(pq.read_table(path, columns=["samples"])["samples"].to_pylist())
            absent = sorted(name for name in names if not (path.parent / name).is_file())
            lines += [f"{path} lacks its test rows, {name}; delete it" for name in absent]
    return lines


def as_half(values: NDArray[np.float64]) -> Half:
    """What is stored of (n, C) probabilities or scores, or of (n, 1) predictions: (n, k) float16.

    Rounding moves a probability by at most 2^-12, and other numbers by a share of 2^-11 at most.
    """
    kept = values[:, 1:] if values.shape[1] == 2 else values
    largest = float(np.finfo(np.float16).max)
    return np.clip(kept, -largest, largest).astype(np.float16)


def _samples_file(samples: Samples) -> tuple[str, bytes]:
    coding = samples.coding
    groups = {
        "names": list(coding.names), "y": coding.y.tolist(), "a": coding.a.tolist(),
        "minority": coding.minority.tolist(), "prior": coding.prior.tolist(),
    }  # fmt: skip
    table = pa.Table.from_pandas(samples.rows, preserve_index=False)
    meta = {**(table.schema.metadata or {}), _CODING: json.dumps(groups).encode()}
    data = _parquet(table.replace_schema_metadata(meta))
    return f"samples-{_checksum(data)}.parquet", data


def _samples_of(path: Path) -> Samples:
    table = pq.read_table(path)
    of = json.loads(table.schema.metadata[_CODING])
    coding = Coding(
        tuple(of["names"]), np.asarray(of["y"], np.int64), np.asarray(of["a"], np.int64),
        np.asarray(of["minority"], bool), np.asarray(of["prior"], np.float64),
    )  # fmt: skip
    return Samples(table.to_pandas(), coding)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _whole(path: Path) -> bool:
    return path.stem.rpartition("-")[2] == _checksum(read_file(path))


def _read(path: Path) -> bytes | None:
    """The content of a file; None, with a warning, where it is not there or not whole."""
    try:
        data = read_file(path)
    except FileNotFoundError:
        log.warning("%s is not there: outputs of its cells are made again", path)
        return None
    if path.stem.rpartition("-")[2] != _checksum(data):
        log.warning("%s is damaged and not read: outputs of its cells are made again", path)
        return None
    return data
