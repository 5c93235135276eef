"""Text tables as columns, with the line of every fault."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError

_DRIVE = re.compile(r"[A-Za-z]:")
# A path that is in normal form for certain; any other is looked at part by part.
_NORMAL = re.compile(r"(?:[\w+=()-][\w.+=() -]*/)*[\w+=()-][\w.+=() -]*", re.ASCII)
_SHOWN = 60  # columns, and characters of a name, that one sentence shows
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
HEADER = 1 << 16  # characters in which a header is expected to end
# How a label that is not known is written, in small letters and without brackets.
_MISSING = {
    *("", "na", "n/a", "n/a n/a", "n.a.", "n.a", "nan", "-nan", "1.#qnan", "-1.#ind", "nat"),
    *("null", "nil", "none", "missing", "unknown", "undefined", "unlabeled", "unlabelled"),
    *("no label", "not available", "not applicable", ".", "..", "...", "*", "_", "__"),
    *("-", "--", "---", "\u2013", "\u2014", "?", "??", "???"),
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table of texts.

    columns: name -> N texts without space around them. lines: N places of the rows in the file, in
    `unit`: its lines, or the numbers of its rows.
    """

    path: Path
    lines: tuple[int, ...]
    columns: Mapping[str, tuple[str, ...]]
    unit: str = "line"

    def where(self, row: int) -> str:
        """The file and the line of a row, as messages begin."""
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

    def numbers(self, column: str) -> NDArray[np.float64]:
        """(N,) finite numbers of a column's texts; InputError with the line of another one."""
        texts = self.columns[column]
        values = np.fromiter(map(_number, texts), dtype=np.float64, count=len(texts))
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            row, more = int(wrong[0]), wrong.size - 1
            raise InputError(
                f"{self.where(row)}{f' and {more} more' if more else ''}: {column}={texts[row]!r} "
                "is not a finite number, with a point before its decimals; correct it or take the "
                f"row{'s' if more else ''} out"
            )
        return values

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


def _number(text: str) -> float:
    """The number that a text writes; NaN for any other text."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


class Unsure(InputError):
    """A fault that another reading of the table may not have. setting: which would ask for it."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


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
    places = places_of(header, needed, path)
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
    return table_of(path, lines, needed, picked)


def header_of(path: Path) -> list[str]:
    """Column names of a table that one of the two readers reads; a text's first is image_id."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in (file.readline(HEADER) for _ in range(8)) if line.strip()][:2]
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
        raise InputError(f"{path} holds NUL bytes, which no text has; restore the file")
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


def words(delimiter: str) -> str:
    """What a delimiter is called in a sentence: "commas", or the character itself."""
    return SEPARATORS.get(delimiter, repr(delimiter))


def places_of(
    header: Sequence[str], needed: Sequence[str], path: Path, delimiter: str = ""
) -> list[int]:
    """Places of the needed columns in a header.

    Raises InputError for a column that is missing (Unsure: another delimiter may be right) or that
    the header has twice.
    """
    missing = [name for name in needed if name not in header]
    if missing:
        # An open quotation mark can make a "name" of lines of text.
        there = [" ".join(name.split())[:_SHOWN] for name in header if name]
        between = f", separated by {words(delimiter)}" if delimiter else ""
        raise Unsure(
            f"{path} lacks the column {', '.join(missing)}; its columns are "
            f"{', '.join(there[:_SHOWN]) or 'none'}{between}",
            "set data.separator where another character separates them",
        )
    twice = [name for name in needed if list(header).count(name) > 1]
    if twice:
        raise InputError(f"{path} has the column {twice[0]} twice; keep one")
    return [list(header).index(name) for name in needed]


def table_of(
    path: Path,
    lines: Sequence[int],
    needed: Sequence[str],
    picked: Sequence[tuple[str, ...]],
    verbatim: Sequence[str] = (),
) -> Table:
    """The table of the needed values of each row, without space around them.

    lines: N lines of the rows. picked: N rows of the values of `needed`. verbatim: columns whose
    space is kept. Raises InputError for a table without rows.
    """
    if not lines:
        raise InputError(f"{path} lists no {'text' if verbatim else 'image'}; restore its rows")
    columns = zip(*picked, strict=True) if len(needed) > 1 else [picked]
    values = {
        name: tuple(column) if name in verbatim else tuple(map(str.strip, column))
        for name, column in zip(needed, columns, strict=True)
    }
    return Table(path, tuple(lines), values)
