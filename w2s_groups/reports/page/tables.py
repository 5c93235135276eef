"""A section's table for the page: plain without scripts, sortable and filterable with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import Markup

from w2s_groups.reports.page.html import render
from w2s_groups.reports.page.terms import Term, of_header
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK

_NUMBER = re.compile(r"^[+-]?\d+(?:\.\d+)?(?=$|[ ,:(\[-])")


class Column(NamedTuple):
    """A column: its name, CSS class, direction of the first sorting, and the term it explains."""

    name: str
    kind: str
    first: str
    term: Term | None


class Cell(NamedTuple):
    """A cell: its number or text, what follows the number, its CSS class, whether it names the row.

    value: the number that the script sorts it by, empty for words and blanks.
    """

    text: str
    rest: str
    kind: str
    heading: bool
    value: str = ""


class Block(NamedTuple):
    """Rows that share the values of the section's keys; point names these, empty without keys."""

    point: str
    rows: list[list[Cell]]


class Filter(NamedTuple):
    """A choice among the values of a column."""

    column: int
    name: str
    choices: list[str]


@dataclass(frozen=True)
class View:
    """A table as the template takes it. kind: CSS class of the box around it."""

    title: str
    kind: str
    columns: list[Column]
    blocks: list[Block]
    sortable: bool
    length: int


def plain(section: Section) -> Markup:
    """HTML of a section's table: rows with the same keys share a line above them."""
    return render("plain", view=view(section))


def main_table(section: Section, key: str) -> Markup:
    """The table of all points and methods, one row each, with its search and filters.

    key: makes the ids of this table unique.
    """
    flat, heading = replace(section, keys=0), section.keys
    filters = [
        Filter(column, flat.header[column], list(dict.fromkeys(row[column] for row in flat.rows)))
        for column in range(flat.labels)
    ]
    return render("filterable", view=view(flat, "main", heading), filters=filters, key=key)


def view(section: Section, kind: str = "", heading: int = 0) -> View:
    """The columns and rows of a section's table.

    kind: "main" for one that scrolls under its header. heading: column (after the keys) that names
    the row.
    """
    keys, rows = section.keys, section.rows
    kinds = [_kind(column) for column in zip(*(row[keys:] for row in rows), strict=True)]
    if kind != "main":
        kinds[0] = kinds[0] or ("" if keys == 0 and _all_numbers([r[0] for r in rows]) else "words")
    sortable = keys == 0 and len(rows) > 1
    columns = [
        # The best number first; names and settings in their own order.
        Column(
            name, word, "ascending" if word or k < section.labels else "descending", of_header(name)
        )
        for k, (name, word) in enumerate(zip(section.header[keys:], kinds, strict=True))
    ]
    blocks: dict[tuple[str, ...], Block] = {}
    for row in rows:
        names = zip(section.header[:keys], row[:keys], strict=True)
        point = ", ".join(f"{name} = {value}" for name, value in names)
        cells = [
            _cell(text, word, k == heading)
            for k, (text, word) in enumerate(zip(row[keys:], kinds, strict=True))
        ]
        blocks.setdefault(row[:keys], Block(point, [])).rows.append(cells)
    return View(section.title, kind, columns, list(blocks.values()), sortable, len(rows))


def _all_numbers(column: Sequence[str]) -> bool:
    return all(text in ("", BLANK) or _NUMBER.match(text) for text in column)


def _kind(column: Sequence[str]) -> str:
    """Class of a column: words start at the left and may wrap; sentences keep a readable width."""
    if _all_numbers(column):
        return ""
    return "words prose" if max(map(len, column)) > 34 else "words"


def _cell(text: str, word: str, heading: bool) -> Cell:
    """A number stands out; its interval, which follows it, steps back."""
    number, _, rest = text.partition(" ")
    found = _NUMBER.match(text)
    if heading or word or not found:
        return Cell(text, "", word, heading)
    return Cell(number, rest, "", heading, found[0])
