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
        self.refuse_twice(texts)
        return texts

    def refuse_twice(self, texts: Sequence[str]) -> None:
        """InputError where two rows give the same one of N texts."""
        if len(set(texts)) == len(texts):
            return
        first: dict[str, int] = {}
        for row, text in enumerate(texts):
            if first.setdefault(text, row) != row:
                raise InputError(
                    f"{self.where(row)}: {text} is listed already in {self.unit} "
                    f"{self.lines[first[text]]}; keep one"
                )

    def files(self, column: str, prefix: str = "") -> tuple[str, ...]:
        """Paths below the root in normal form, each once; none is absolute or climbs out.

        prefix: the folder that they are relative to, below the root, with a slash at its end.
        """
        files = self.columns[column]
        if not all(map(_NORMAL.fullmatch, files)):
            files = tuple(self._inside(text, column, row) for row, text in enumerate(files))
        files = tuple(map(prefix.__add__, files))
        self.refuse_twice(files)
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


def read_delimited(path: Path, needed: Sequence[str], verbatim: Sequence[str] = ()) -> Table:
    """The needed columns of a table with a header, separated by commas or tabs.

    A byte-order mark, CRLF, quoted fields, blank lines and other columns are no matter. No row is
    ever dropped: one with too few or too many values, a quotation mark that is never closed and a
    field over several lines raise InputError with the line. verbatim: columns of free text, whose
    space is kept; where there is one, quoted fields may go over several lines, as texts do.
    """
    text = read_text(path)
    if verbatim and '"' not in text:
        text = text.replace("\r\n", "\n")
    first = next((line for line in re.split(r"\r\n|\r|\n", text[:_HEADER]) if line.strip()), "")
    delimiter = "\t" if "\t" in first and "," not in first else ","
    if '"' in text or "\r" in text.replace("\r\n", "\n"):
        lines, picked = _quoted(text, delimiter, needed, path, bool(verbatim))
    else:
        lines, picked = _plain(text, delimiter, needed, path)
    return _table(path, lines, needed, picked, verbatim)


def _quoted(
    text: str, delimiter: str, needed: Sequence[str], path: Path, texts: bool
) -> tuple[list[int], list[tuple[str, ...]]]:
    """First line and needed values of each row, by the rules of CSV."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=not texts, strict=True
    )
    lines: list[int] = []
    picked: list[tuple[str, ...]] = []
    limit = csv.field_size_limit(len(text) + 1 if texts else csv.field_size_limit())
    try:
        rows = _numbered(reader, path, texts)
        header = [name.strip() for name in next(rows, (0, [""]))[1]]
        pick = itemgetter(*_places(header, needed, path))
        for line, row in rows:
            if len(row) != len(header):
                raise _wrong_width(path, line, len(header), len(row))
            lines.append(line)
            picked.append(pick(row))
    except csv.Error as error:
        where = f"line {reader.line_num}"
        if texts and lines:
            where = f"after the row of line {lines[-1]}"
        raise InputError(
            f"{path} {where} is not as a table separated by "
            f"{'tabs' if delimiter != ',' else 'commas'} has it ({error}); correct the line"
        ) from None
    finally:
        csv.field_size_limit(limit)
    return lines, picked


def _plain(
    text: str, delimiter: str, needed: Sequence[str], path: Path
) -> tuple[list[int], list[tuple[str, ...]]]:
    """The same for a text without quotation marks, with no Python code run per row: CelebA has 8
    million values, of which three columns are needed."""
    rows = text.split("\n")
    blank = f"{delimiter} \t\r"
    start = next((n for n, row in enumerate(rows) if row.strip(blank)), 0)
    header = [name.strip() for name in rows[start].split(delimiter)]
    places = _places(header, needed, path)
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


def _places(header: Sequence[str], needed: Sequence[str], path: Path) -> list[int]:
    missing = [name for name in needed if name not in header]
    if missing:
        # An open quotation mark can make a "name" of lines of text.
        there = [" ".join(name.split())[:_SHOWN] for name in header if name]
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; its columns are "
            f"{', '.join(there[:_SHOWN]) or 'none'}"
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
