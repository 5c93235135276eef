"""The long table that is committed with a report: compressed CSV, which pandas reads."""

from __future__ import annotations

import gzip
import io
from collections.abc import Hashable, Mapping
from pathlib import Path

from w2s_groups.core import spreadsheet
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results import tested
from w2s_groups.results.columns import EXACT, from_csv, to_csv
from w2s_groups.results.scores import of_cells
from w2s_groups.results.scores.of_cells import Scores

NAME = "results.csv.gz"
COUNTS = "identities.csv.gz"  # tested samples by identity and place, of several splits
SCORES = "outputs.csv.gz"  # measures of outputs, of a run that stored them
BINS = "reliability.csv.gz"  # their bins of confidence
_TEXTS: dict[Hashable, str] = dict.fromkeys(
    ("data", "teacher", "student", "method", "mix", "group"), "str"
)


def write(
    table: pd.DataFrame,
    folder: Path,
    counts: pd.DataFrame | None = None,
    scores: Scores | None = None,
) -> None:
    """Write folder/results.csv.gz, identities.csv.gz where there are counts, SCORES and BINS."""
    texts = {COUNTS: None if counts is None else counts_csv(counts), **scores_csv(scores)}
    _write(folder / NAME, to_csv(table))
    for name, text in texts.items():
        if text is None:
            (folder / name).unlink(missing_ok=True)
        else:
            _write(folder / name, text)


def scores_csv(scores: Scores | None) -> dict[str, str | None]:
    """Texts of both files of scores; `read_scores` gives back the same tables."""
    if scores is None:
        return {SCORES: None, BINS: None}
    texts = (spreadsheet.to_csv(part, "remove the outputs that hold it") for part in scores)
    return dict(zip((SCORES, BINS), texts, strict=True))


def read_scores(folder: Path) -> Scores | None:
    """The scores of a report's folder; None where the run has no outputs."""
    if not (folder / SCORES).is_file():
        return None
    keys = of_cells.LEADING, of_cells.OF_BINS
    return Scores(
        *(of_cells.canonical(_table(folder / name, _TEXTS), own)
          for name, own in zip((SCORES, BINS), keys, strict=True))
    )  # fmt: skip


def counts_csv(counts: pd.DataFrame) -> str:
    """Text of the counts; `read_counts` gives back the same table."""
    return spreadsheet.to_csv(tested.canonical(counts), "remove the cells that hold it")


def read_counts(folder: Path) -> pd.DataFrame | None:
    """The counts of folder/identities.csv.gz; None where the report has none."""
    path = folder / COUNTS
    if not path.is_file():
        return None
    texts: dict[Hashable, str] = dict.fromkeys(("data", "teacher", "student", *tested.SHOWN), "str")
    return tested.canonical(_table(path, texts))


def _table(path: Path, texts: Mapping[Hashable, str]) -> pd.DataFrame:
    """A table whose columns of texts are named: a group may be called "NA"."""
    text = unpacked(path)
    numbers = {name: [""] for name in text.partition("\n")[0].split(",") if name not in texts}
    table: pd.DataFrame = pd.read_csv(
        io.StringIO(text), dtype=dict(texts), keep_default_na=False, na_values=numbers, **EXACT
    )
    return table


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
