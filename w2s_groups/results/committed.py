"""The long table that is committed with a report: compressed CSV, which pandas reads."""

from __future__ import annotations

import gzip
import io
from collections.abc import Hashable
from pathlib import Path

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results import tested
from w2s_groups.results.columns import from_csv, to_csv

NAME = "results.csv.gz"
COUNTS = "identities.csv.gz"  # tested samples by identity and place, of several splits


def write(table: pd.DataFrame, folder: Path, counts: pd.DataFrame | None = None) -> None:
    """Write folder/results.csv.gz, and identities.csv.gz where there are counts."""
    _write(folder / NAME, to_csv(table))
    if counts is None:
        (folder / COUNTS).unlink(missing_ok=True)
    else:
        _write(folder / COUNTS, counts_csv(counts))


def counts_csv(counts: pd.DataFrame) -> str:
    """Text of the counts; `read_counts` gives back the same table."""
    return tested.canonical(counts).to_csv(index=False, lineterminator="\n")


def read_counts(folder: Path) -> pd.DataFrame | None:
    """The counts of folder/identities.csv.gz; None where the report has none."""
    path = folder / COUNTS
    if not path.is_file():
        return None
    texts: dict[Hashable, str] = dict.fromkeys(("data", "teacher", "student", *tested.SHOWN), "str")
    table = pd.read_csv(
        io.StringIO(unpacked(path)), dtype=texts, keep_default_na=False,
        float_precision="round_trip",
    )  # fmt: skip
    return tested.canonical(table)


def _write(path: Path, text: str) -> None:
    """A file that holds the same text stays: compressed bytes vary with the zlib of a machine."""
    try:
        if path.is_file() and unpacked(path) == text:
            return
    except InputError:
        pass  # broken: written again
    write_atomic(path, packed(text))


def read(folder: Path) -> pd.DataFrame:
    """The canonical table of folder/results.csv.gz; InputError if it is not one."""
    return from_csv(unpacked(folder / NAME), str(folder / NAME))


def packed(text: str) -> bytes:
    """The file's bytes: no time or name inside, so that the same text gives the same bytes."""
    return gzip.compress(text.encode(), mtime=0)


def unpacked(path: Path) -> str:
    """The text of a compressed file; InputError for one that is broken."""
    try:
        return gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): run the experiment again") from error
