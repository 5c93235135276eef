"""What `predict` found of one pair of networks: tables, and their files."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.results import committed

SETTINGS, CELLS = "settings.json", "cells.csv.gz"
TABLES = ("path", "cells", "sizes", "compared", "order")
MEASURED = ("compared", "order")


@dataclass(frozen=True, eq=False)
class Found:
    """path: rows of some cells at every alpha; cells: of the map, at the chosen one; sizes: of the
    gain against sizes; compared, order: of prediction.table's functions, None where nothing was
    trained. settings: data, teacher, student, n_l, n_u, samples, read_from, alpha, head, draws,
    keep (None: cells have no row of a refit), asked (a digest of the rest of the question), noun
    (where a sample is no image).
    """

    settings: dict[str, Any]
    path: pd.DataFrame
    cells: pd.DataFrame
    sizes: pd.DataFrame
    compared: pd.DataFrame | None
    order: pd.DataFrame | None


def save(found: Found, folder: Path) -> Found:
    """Write the tables; what comes back holds the numbers as written, as `load` gives them."""
    text = json.dumps(found.settings, indent=1, sort_keys=True) + "\n"
    write_atomic(folder / SETTINGS, text.encode())
    for name in TABLES:
        table = getattr(found, name)
        if table is None:
            (folder / f"{name}.csv.gz").unlink(missing_ok=True)
        else:
            write_atomic(folder / f"{name}.csv.gz", committed.packed(to_csv(table)))
    return load(folder)


def load(folder: Path) -> Found:
    """The pair that `save` wrote; InputError for a file that is missing or broken."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / SETTINGS} cannot be read ({error}): predict again") from error
    tables: dict[str, pd.DataFrame | None] = {}
    for name in TABLES:
        path = folder / f"{name}.csv.gz"
        optional = name in MEASURED and not path.exists()
        tables[name] = None if optional else pd.read_csv(io.StringIO(committed.unpacked(path)))
    return Found(settings, **tables)  # type: ignore[arg-type]


def short(network: str) -> str:
    """The last part of a network's name, in folders and titles."""
    return network.rpartition("/")[2]


def to_csv(table: pd.DataFrame) -> str:
    """Text of a table, five decimals."""
    return table.to_csv(index=False, float_format="%.5f", lineterminator="\n")
