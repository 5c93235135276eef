"""The long table that is committed with a report: compressed CSV, which pandas reads."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.results.columns import from_csv, to_csv

NAME = "results.csv.gz"


def write(table: pd.DataFrame, folder: Path) -> None:
    """Write folder/results.csv.gz.

    A file that holds the same text stays: the compressed bytes vary with the zlib of a machine.
    """
    path, text = folder / NAME, to_csv(table)
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
