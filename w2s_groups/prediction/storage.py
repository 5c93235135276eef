"""Predictions for one pair of networks: tables, and their files."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_groups.core import spreadsheet
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_json, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results import committed

SETTINGS, CELLS = "settings.json", "cells.csv.gz"
TABLES = ("path", "cells", "sizes", "compared", "order")
MEASURED = ("compared", "order")


@dataclass(frozen=True, eq=False)
class PairPrediction:
    """Predictions for one pair of networks, as tables.

    path: some cells at every alpha. cells: the map, at the chosen alpha. sizes: gains against sizes
    of the two sets. compared, order: results of the functions in prediction.table, None where no
    head was trained. settings: data, teacher, student, n_l, n_u, samples, read_from, alpha, head,
    draws, keep (None: no student is retrained), asked (digest of the rest of the configuration),
    noun (where a sample is not an image).
    """

    settings: dict[str, Any]
    path: pd.DataFrame
    cells: pd.DataFrame
    sizes: pd.DataFrame
    compared: pd.DataFrame | None
    order: pd.DataFrame | None


def save(pair: PairPrediction, folder: Path) -> PairPrediction:
    """Write the tables; returns them as `load` does, with the numbers as written."""
    text = json.dumps(pair.settings, indent=1, sort_keys=True) + "\n"
    write_atomic(folder / SETTINGS, text.encode())
    for name in TABLES:
        table = getattr(pair, name)
        if table is None:
            (folder / f"{name}.csv.gz").unlink(missing_ok=True)
        else:
            write_atomic(folder / f"{name}.csv.gz", committed.packed(to_csv(table)))
    return load(folder)


def load(folder: Path) -> PairPrediction:
    """The prediction that `save` wrote; InputError for a file that is missing or broken."""
    try:
        settings = read_json(folder / SETTINGS)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / SETTINGS} cannot be read ({error}): predict again") from error
    tables: dict[str, pd.DataFrame | None] = {}
    for name in TABLES:
        path = folder / f"{name}.csv.gz"
        optional = name in MEASURED and not path.exists()
        tables[name] = None if optional else pd.read_csv(io.StringIO(committed.unpacked(path)))
    return PairPrediction(settings, **tables)  # type: ignore[arg-type]


def to_csv(table: pd.DataFrame) -> str:
    """Text of a table, five decimals."""
    return spreadsheet.to_csv(table, "choose another name", "%.5f")
