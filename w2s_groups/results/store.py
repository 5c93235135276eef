"""One atomic file per cell, with a sidecar that says how it was made."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_groups.files import write_atomic
from w2s_groups.results.schema import COLUMNS

log = logging.getLogger(__name__)


def cell_key(identity: Mapping[str, Any]) -> str:
    """16 hex digits that follow from the scientific configuration of a cell and nothing else."""
    return hashlib.sha256(_canonical(identity)).hexdigest()[:16]


def save(
    folder: Path, key: str, fields: Mapping[str, Any], atoms: list[dict[str, Any]], meta: Any
) -> None:
    """Write one cell. The sidecar comes first, so that a cell that is there has its sidecar.

    fields: the cell's own columns; atoms: the rows' other columns. Time and versions are in the
    sidecar alone: the cell's bytes follow from the configuration.
    """
    write_atomic(folder / f"{key}.meta.json", json.dumps(meta, indent=1, sort_keys=True).encode())
    payload = {"cell": dict(fields), "atoms": atoms}
    digest = hashlib.sha256(_canonical(payload)).hexdigest()
    write_atomic(folder / f"{key}.json", _canonical({"sha256": digest, **payload}))


def read(folder: Path, key: str) -> pd.DataFrame | None:
    """The long table of one cell; None if it is not there or not whole (then one line says so)."""
    path = folder / f"{key}.json"
    try:
        stored = json.loads(path.read_bytes())
        digest = stored.pop("sha256")
        if hashlib.sha256(_canonical(stored)).hexdigest() != digest:
            raise ValueError("checksum differs")
        frame = pd.DataFrame(stored["atoms"]).assign(cell=key, **stored["cell"])
        return frame[list(COLUMNS)].astype({"value": "float64"})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s is damaged (%s) and will be made again", path, error)
        return None


def read_all(folder: Path, keys: Iterable[str]) -> pd.DataFrame:
    """The long table of the cells that are there, one row an atom (columns: COLUMNS)."""
    frames = [frame for key in keys if (frame := read(folder, key)) is not None]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _canonical(value: Any) -> bytes:
    """JSON with one spelling: sorted keys, no spaces, null for NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
