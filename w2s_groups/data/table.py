"""Delimited and spaced text tables as columns, with the line of every fault."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.errors import InputError

_DRIVE = re.compile(r"[A-Za-z]:")
# A path that is in normal form for certain; any other is looked at part by part.
_NORMAL = re.compile(r"(?:[\w+=()-][\w.+=() -]*/)*[\w+=()-][\w.+=() -]*", re.ASCII)
_SHOWN = 60  # columns, and characters of a name, that one sentence shows
_HEADER = 1 << 16  # characters in which a header is expected to end
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
# Whole fields as CSV writes a text with quotation marks.
_QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"', re.DOTALL)
# How a label that is not known is written, in small letters and without brackets.
_MISSING = {
    *("", "na", "n/a", "n/a n/a", "n.a.", "n.a", "nan", "-nan", "1.#qnan", "-1.#ind", "nat"),
    *("null", "nil", "none", "missing", "unknown", "undefined", "unlabeled", "unlabelled"),
    *("no label", "not available", "not applicable", ".", "..", "...", "*", "_", "__"),
    *("-", "--", "---", "\u2013", "\u2014", "?", "??", "???"),
}


@dataclass(frozen=True, eq=False)
class Table:
    """columns: name -> N texts without space around them; lines: the line of each row (or
    its number, if `unit` says so)."""

    path: Path
    lines: tuple[int, ...]
    columns: Mapping[str, tuple[str, ...]]
    unit: str = "line"

    def where(self, row: int) -> str:
        return f"{self.path} {self.unit} {self.lines[row]}"

    def codes(self, column: str, coding: Mapping[str, int], meaning: str) -> NDArray[np.int64]:
        """(N,) codes of a column's texts; InputError with the line of one outside the coding."""
        texts = self.columns[column]
        try:
            return np.fromiter(map(coding.__getitem__, texts), dtype=np.int64, count=len(texts))
        except KeyError as error:
            row = texts.index(error.args[0])
            raise InputError(
                f"{self.where(row)}: {column}={texts[row]!r} is outside the coding {meaning}; "
                "correct it or take the row out"
            ) from None

    def unique(self, column: str) -> tuple[str, ...]:
        """A column of keys; InputError with both lines where one comes twice."""
        texts = self.columns[column]
        self.refuse_twice(texts, column)
        return texts

    def refuse_twice(self, texts: Sequence[str], column: str = "") -> None:
        """InputError where two rows give the same one of N texts."""
        of = f" (column {column})" if column else ""
        if len(set(texts)) == len(texts):
            return
        first: dict[str, int] = {}
        for row, text in enumerate(texts):
            if first.setdefault(text, row) != row:
                raise InputError(
                    f"{self.where(row)}: {text} is listed already in {self.unit} "
                    f"{self.lines[first[text]]}{of}; keep one"
                )

    def files(self, column: str, prefix: str = "") -> tuple[str, ...]:
        """Paths below the root in normal form, each once; none is absolute or climbs out.

        prefix: the folder that they are relative to, below the root, with a slash at its end.
        """
        files = self.columns[column]
        if not all(map(_NORMAL.fullmatch, files)):
            files = tuple(self._inside(text, column, row) for row, text in enumerate(files))
        files = tuple(map(prefix.__add__, files))
        self.refuse_twice(files, column)
        return files

    def _inside(self, text: str, column: str, row: int) -> str:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if (
            text.startswith("/")
            or not parts
            or ".." in parts
            or "\\" in text
            or not text.isprintable()
            or _DRIVE.match(text)
        ):
            raise InputError(
                f"{self.where(row)}: {column}={text!r} must be a path below the folder, with "
                "forward slashes and without '..'; correct it"
            )
        return "/".join(parts)


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
    except _Unsure as error:
        settings = f"; {error.setting}" if dialect else ""
        raise InputError(f"{error}{settings}") from None


class _Unsure(InputError):
    """A fault that another reading of the table may not have. setting: which would ask for it."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


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
        return _table(path, lines, needed, picked, verbatim)

    def as_text() -> Table:
        joined = text.replace("\r\n", "\n")
        joined = joined if "\n" in joined else joined.replace("\r", "\n")
        lines, picked = _plain(joined, delimiter, needed, path)
        return _table(path, lines, needed, picked, verbatim)

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
    raise _Unsure(
        f"{path} can be read in two ways, as {len(table.lines)} rows with quoted fields and as "
        f"{len(literal.lines)} rows with quotation marks as text, which differ from line "
        f"{_first_difference(table, literal)}",
        "set data.quoting=true or data.quoting=false",
    )


def _separator(text: str, needed: Sequence[str]) -> str:
    """The separator under which the header has all needed columns; else that of most columns."""
    first = next((line for line in re.split(r"\r\n|\r|\n", text[:_HEADER]) if line.strip()), "")
    headers = {
        mark: [name.strip() for name in next(csv.reader([first], delimiter=mark), [])]
        for mark in SEPARATORS
    }
    having = [mark for mark, header in headers.items() if set(needed) <= set(header)]
    return (having or sorted(SEPARATORS, key=lambda mark: -len(headers[mark])))[0]


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
        places = _places(header, needed, path, delimiter)
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
        raise _Unsure(
            f"{path} {where} is not as a table separated by {_words(delimiter)} has it ({error}); "
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
            raise _Unsure(
                f"{path} line {line}: a quoted field goes on over {len(rows)} lines, {whole} of "
                "which are rows of the table; close its quotation mark",
                "or set data.quoting=false where quotation marks are text",
            )


def _plain(
    text: str, delimiter: str, needed: Sequence[str], path: Path
) -> tuple[list[int], list[tuple[str, ...]]]:
    """The same for a text without quotation marks, with no Python code run per row: CelebA has 8
    million values, of which three columns are needed."""
    rows = text.split("\n")
    blank = f"{delimiter} \t\r"
    start = next((n for n, row in enumerate(rows) if row.strip(blank)), 0)
    header = [name.strip() for name in rows[start].split(delimiter)]
    places = _places(header, needed, path, delimiter)
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


def _wrong_width(path: Path, line: int, wanted: int, found: int) -> InputError:
    return InputError(
        f"{path} line {line}: {wanted} values are expected, as in its header, and there are "
        f"{found}; correct the line"
    )


def read_spaced(path: Path, needed: Sequence[str], header: Sequence[str] | None = None) -> Table:
    """The needed columns of a table with spaces between values.

    header: the columns' names. None: the file's first line is its number of rows and its second
    the names of all columns but the first, which is image_id (CelebA's own form).
    """
    rows = ((n, line.split()) for n, line in enumerate(io.StringIO(read_text(path)), start=1))
    filled = ((n, row) for n, row in rows if row)
    count = None
    if header is None:
        line, first = next(filled, (1, [""]))
        if len(first) != 1 or not first[0].isdecimal():
            raise InputError(
                f"{path} line {line}: the number of rows is expected; restore the file"
            )
        count = int(first[0])
        header = ["image_id", *next(filled, (0, []))[1]]
    places = _places(header, needed, path)
    pick = itemgetter(*places)
    lines, picked, width = [], [], len(header)
    for line, row in filled:
        if len(row) != width:
            raise InputError(
                f"{path} line {line}: {width} values are expected and there are {len(row)}; "
                "correct the line"
            )
        lines.append(line)
        picked.append(pick(row))
    if count is not None and count != len(lines):
        raise InputError(
            f"{path} line 1: {count} rows are announced and {len(lines)} follow; "
            "restore the whole file"
        )
    return _table(path, lines, needed, picked)


def header_of(path: Path) -> list[str]:
    """Column names of a table that one of the two readers reads; a text's first is image_id."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in (file.readline(_HEADER) for _ in range(8)) if line.strip()][:2]
    if path.suffix == ".txt":
        return ["image_id", *(lines[1].split() if len(lines) > 1 else [])]
    return [name.strip().strip('"') for name in lines[0].split(",")] if lines else []


def is_missing(text: str) -> bool:
    """Whether a label's text says that there is none: empty, NA, nan, null, -, ? and the like."""
    return text.strip().casefold().strip("<>()[]{}#'\"").strip() in _MISSING


def read_text(path: Path) -> str:
    """A UTF-8 file's text, without a byte-order mark."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}); make it readable") from None
    if "\0" in text:
        raise InputError(f"{path} holds NUL bytes and so is no text; restore the file")
    return text


def label_coding(names: Sequence[str]) -> tuple[dict[str, int], str]:
    """Texts -> codes for labels given by name or by number, and the words for it."""
    coding = {str(code): code for code in range(len(names))}
    for code, name in enumerate(names):
        if coding.setdefault(name, code) != code:
            raise InputError(
                f"the name {name!r} of code {code} reads as code {coding[name]}; rename it"
            )
    return coding, f"0..{len(names) - 1} ({', '.join(names)})"


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


def _words(delimiter: str) -> str:
    return SEPARATORS.get(delimiter, repr(delimiter))


def _places(
    header: Sequence[str], needed: Sequence[str], path: Path, delimiter: str = ""
) -> list[int]:
    missing = [name for name in needed if name not in header]
    if missing:
        # An open quotation mark can make a "name" of lines of text.
        there = [" ".join(name.split())[:_SHOWN] for name in header if name]
        between = f", separated by {_words(delimiter)}" if delimiter else ""
        raise _Unsure(
            f"{path} lacks the column {', '.join(missing)}; its columns are "
            f"{', '.join(there[:_SHOWN]) or 'none'}{between}",
            "set data.separator where another character separates them",
        )
    twice = [name for name in needed if list(header).count(name) > 1]
    if twice:
        raise InputError(f"{path} has the column {twice[0]} twice; keep one")
    return [list(header).index(name) for name in needed]


def _table(
    path: Path,
    lines: Sequence[int],
    needed: Sequence[str],
    picked: Sequence[tuple[str, ...]],
    verbatim: Sequence[str] = (),
) -> Table:
    if not lines:
        raise InputError(f"{path} lists no {'text' if verbatim else 'image'}; restore its rows")
    columns = zip(*picked, strict=True) if len(needed) > 1 else [picked]
    values = {
        name: tuple(column) if name in verbatim else tuple(map(str.strip, column))
        for name, column in zip(needed, columns, strict=True)
    }
    return Table(path, tuple(lines), values)
