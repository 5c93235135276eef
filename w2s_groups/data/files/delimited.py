"""Tables with separators between values: which separator, and whether quotation marks enclose."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from operator import itemgetter
from pathlib import Path

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.data.files.table import (
    HEADER,
    SEPARATORS,
    Table,
    Unsure,
    places_of,
    read_text,
    table_of,
    words,
)

# Whole fields as CSV writes a text with quotation marks.
_QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"', re.DOTALL)


@dataclass(frozen=True)
class Dialect:
    """How a table is written, as far as its user said so.

    separator: what stands between values; None: the one of SEPARATORS under which the header has
    all needed columns. quoted: whether quotation marks are CSV's (True) or characters of the text
    (False). None is True, but for tabs, which are written in both ways: then both readings are
    tried. The one that finds no fault in the file is taken; where both find none and differ,
    InputError asks for `quoted`.
    """

    separator: str | None = None
    quoted: bool | None = None


def read_delimited(
    path: Path,
    needed: Sequence[str],
    verbatim: Sequence[str] = (),
    dialect: Dialect | None = None,
) -> Table:
    """The needed columns of a table with a header.

    A byte-order mark, CRLF, quoted fields, blank lines and other columns are no matter. No row is
    ever dropped: one with too few or too many values, a quotation mark that is never closed and a
    field over several lines raise InputError with the line. verbatim: columns of free text, whose
    space is kept; where there is one, quoted fields may go over several lines, as texts do.
    dialect: None where the user has no settings for it, of which no message speaks then.
    """
    try:
        return _read_delimited(path, needed, verbatim, dialect or Dialect())
    except Unsure as error:
        settings = f"; {error.setting}" if dialect else ""
        raise InputError(f"{error}{settings}") from None


def header_of(path: Path, needed: Sequence[str], dialect: Dialect) -> list[str]:
    """All column names of the table that `read_delimited` reads."""
    text = read_text(path)
    delimiter = dialect.separator or _separator(text, needed)
    return _header(text, delimiter)


def _read_delimited(
    path: Path, needed: Sequence[str], verbatim: Sequence[str], dialect: Dialect
) -> Table:
    text = read_text(path)
    if verbatim and '"' not in text:
        text = text.replace("\r\n", "\n")
    delimiter, quoted = dialect.separator or _separator(text, needed), dialect.quoted

    def with_quotes() -> Table:
        if '"' in text or "\r" in text.replace("\r\n", "\n"):
            lines, picked = _quoted(text, delimiter, needed, path, verbatim)
        else:
            lines, picked = _plain(text, delimiter, needed, path)
        return table_of(path, lines, needed, picked, verbatim)

    def as_text() -> Table:
        joined = text.replace("\r\n", "\n")
        joined = joined if "\n" in joined else joined.replace("\r", "\n")
        lines, picked = _plain(joined, delimiter, needed, path)
        return table_of(path, lines, needed, picked, verbatim)

    if quoted is False:
        return as_text()
    if quoted or delimiter != "\t" or '"' not in text:
        return with_quotes()
    try:
        literal = _surely_literal(as_text(), verbatim)
    except InputError:
        return with_quotes()
    try:
        table = with_quotes()
    except InputError:
        return literal
    if (table.lines, table.columns) == (literal.lines, literal.columns):
        return table
    raise Unsure(
        f"{path} can be read in two ways, as {len(table.lines)} rows with quoted fields and as "
        f"{len(literal.lines)} rows with quotation marks as text, which differ from line "
        f"{_first_difference(table, literal)}",
        "set data.quoting=true or data.quoting=false",
    )


def _separator(text: str, needed: Sequence[str]) -> str:
    """The separator under which the header has all needed columns; else that of most columns."""
    headers = {mark: _header(text, mark) for mark in SEPARATORS}
    having = [mark for mark, header in headers.items() if set(needed) <= set(header)]
    return (having or sorted(SEPARATORS, key=lambda mark: -len(headers[mark])))[0]


def _header(text: str, delimiter: str) -> list[str]:
    first = next((line for line in re.split(r"\r\n|\r|\n", text[:HEADER]) if line.strip()), "")
    return [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]


def _surely_literal(table: Table, verbatim: Sequence[str]) -> Table:
    """The table, read with quotation marks as text; InputError if it looks quoted.

    Names of files, labels and splits hold no quotation mark, and texts none that are doubled in a
    field that they enclose.
    """
    for name, texts in table.columns.items():
        for row, text in enumerate(texts):
            if '"' in text and (name not in verbatim or _QUOTED.fullmatch(text)):
                raise InputError(f"{table.where(row)}: {name}={text!r} looks quoted")
    return table


def _first_difference(one: Table, other: Table) -> int:
    for row, (line, other_line) in enumerate(zip(one.lines, other.lines, strict=False)):
        if line != other_line or any(
            one.columns[name][row] != other.columns[name][row] for name in one.columns
        ):
            return min(line, other_line)
    return max(one.lines[-1], other.lines[-1])


def _quoted(
    text: str, delimiter: str, needed: Sequence[str], path: Path, verbatim: Sequence[str]
) -> tuple[list[int], list[tuple[str, ...]]]:
    """First line and needed values of each row, by the rules of CSV."""
    texts = bool(verbatim)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=not texts, strict=True
    )
    lines: list[int] = []
    picked: list[tuple[str, ...]] = []
    over_lines: list[tuple[int, list[str]]] = []
    limit = csv.field_size_limit(len(text) + 1 if texts else csv.field_size_limit())
    try:
        rows = _numbered(reader, path, texts)
        header = [name.strip() for name in next(rows, (0, [""]))[1]]
        places = places_of(header, needed, path, delimiter)
        pick = itemgetter(*places)
        for line, row in rows:
            if len(row) != len(header):
                raise _wrong_width(path, line, len(header), len(row))
            lines.append(line)
            picked.append(pick(row))
            if texts and any("\n" in value or "\r" in value for value in row):
                over_lines.append((line, row))
    except csv.Error as error:
        where = f"line {reader.line_num}"
        if texts and lines:
            where = f"after the row of line {lines[-1]}"
        raise Unsure(
            f"{path} {where} is not as a table separated by {words(delimiter)} has it ({error}); "
            "correct the line",
            "or set data.quoting=false where quotation marks are text",
        ) from None
    finally:
        csv.field_size_limit(limit)
    labels = [place for place, name in zip(places, needed, strict=True) if name not in verbatim]
    of_needed = [k for k, name in enumerate(needed) if name not in verbatim]
    _refuse_swallowed(path, delimiter, over_lines, labels, of_needed, picked)
    return lines, picked


def _refuse_swallowed(
    path: Path,
    delimiter: str,
    over_lines: Sequence[tuple[int, Sequence[str]]],
    labels: Sequence[int],
    of_needed: Sequence[int],
    picked: Sequence[tuple[str, ...]],
) -> None:
    """InputError for a quoted field that holds rows of the table: its quotation mark was text.

    A row over several lines has its own labels on one of them. Where two or more of its lines, by
    themselves, are rows with labels that the table has, others were swallowed. over_lines: line
    and values of such rows; labels: places of the labels in a row, of_needed: in `picked`.
    """
    known = [{row[k].strip() for row in picked} for k in of_needed] if over_lines else []
    for line, row in over_lines:
        rows = [part.split(delimiter) for part in re.split(r"\r\n|\r|\n", delimiter.join(row))]
        whole = sum(
            len(values) == len(row)
            and all(
                values[place].strip() in seen for place, seen in zip(labels, known, strict=True)
            )
            for values in rows
        )
        if whole > 1:
            raise Unsure(
                f"{path} line {line}: a quoted field goes on over {len(rows)} lines, {whole} of "
                "which are rows of the table; close its quotation mark",
                "or set data.quoting=false where quotation marks are text",
            )


def _plain(
    text: str, delimiter: str, needed: Sequence[str], path: Path
) -> tuple[list[int], list[tuple[str, ...]]]:
    """The same for a text without quotation marks, with no Python code run per row.

    CelebA has 8 million values, of which three columns are needed.
    """
    rows = text.split("\n")
    blank = f"{delimiter} \t\r"
    start = next((n for n, row in enumerate(rows) if row.strip(blank)), 0)
    header = [name.strip() for name in rows[start].split(delimiter)]
    places = places_of(header, needed, path, delimiter)
    gaps = np.fromiter(map(str.count, rows, repeat(delimiter)), np.int64, len(rows))
    # Only a row with a first character of these can be blank, or one of another width.
    odd = np.fromiter(map(str.startswith, rows, repeat(tuple(blank))), np.bool_, len(rows))
    filled = np.ones(len(rows), dtype=bool)
    filled[: start + 1] = False
    for n in np.flatnonzero(filled & (odd | (gaps != len(header) - 1))).tolist():
        filled[n] = bool(rows[n].strip(blank))
        if filled[n] and gaps[n] != len(header) - 1:
            raise _wrong_width(path, n + 1, len(header), int(gaps[n]) + 1)
    kept = compress(rows, filled.tolist())
    values = map(str.split, kept, repeat(delimiter), repeat(max(places) + 1))
    lines = (np.flatnonzero(filled) + 1).tolist()
    return lines, list(map(itemgetter(*places), values))


def _wrong_width(path: Path, line: int, wanted: int, n: int) -> InputError:
    return InputError(
        f"{path} line {line}: {wanted} values are expected, as in its header, and there are "
        f"{n}; correct the line"
    )


def _numbered(
    reader: Iterator[list[str]], path: Path, texts: bool
) -> Iterator[tuple[int, list[str]]]:
    """(first line, values) of every row that is not blank."""
    last = 0
    for row in reader:
        line, last = last + 1, reader.line_num  # type: ignore[attr-defined]
        if last != line and not texts:
            raise InputError(
                f"{path} line {line}: a quoted field goes on over several lines; close its "
                "quotation mark"
            )
        if row and any(map(str.strip, row)):
            yield line, row
