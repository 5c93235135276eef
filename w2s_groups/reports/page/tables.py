"""A section's table as HTML: plain without scripts, sortable and filterable with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from w2s_groups.reports.page.terms import help_button
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK

_NUMBER = re.compile(r"^[+-]?\d+(?:\.\d+)?(?=$|[ ,:(\[-])")
FILTERED = ("η_ℓ", "η_u", "method", "group labels used")


def breakable(text: str) -> str:
    """HTML of a name such as `selective[keep=0.3,q=0.7]`, which may break after its commas."""
    return escape(text).replace(",", ",<wbr>").replace("[", "<wbr>[")


def boxed(table: str, label: str, kind: str = "") -> str:
    """A table in a box that scrolls by itself, by keyboard too."""
    name = f"scroll {kind}".strip()
    return (
        f'<div class="{name}" tabindex="0" role="group" aria-label="{escape(label)}">{table}</div>'
    )


def main_table(section: Section, key: str) -> str:
    """The table of all points and methods, one row each, with its search and filters.

    key: makes the ids of this table its own.
    """
    header, rows = section.header, section.rows
    filters = [
        _filter(key, column, name, list(dict.fromkeys(row[column] for row in rows)))
        for column, name in enumerate(header)
        if name in FILTERED
    ]
    search = (
        f'<div class="field"><label for="{key}-search">search</label><input id="{key}-search" '
        'type="search" autocomplete="off" spellcheck="false"></div>'
    )
    controls = (
        f'<div class="controls js-only" role="group" aria-label="Filter the table">{search}'
        f'{"".join(filters)}<button type="button" class="reset">Show all</button>'
        f'<p class="shown" role="status" aria-live="polite">{len(rows)} of {len(rows)} rows</p>'
        "</div>"
    )
    flat = Section(section.title, header=header, rows=rows)
    return f'<div class="filterable">{controls}{plain(flat, header.index("method"), "main")}</div>'


def _filter(key: str, column: int, name: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(v)}">{escape(v)}</option>' for v in values)
    return (
        f'<div class="field"><label for="{key}-filter-{column}">{escape(name)}</label>'
        f'<select id="{key}-filter-{column}" data-column="{column}"><option value="">all</option>'
        f"{options}</select></div>"
    )


def plain(section: Section, heading: int = 0, kind: str = "") -> str:
    """A table; rows with the same `keys` share a line above them, others can be sorted.

    heading: column (after the keys) that names the row.
    """
    keys, header = section.keys, section.header
    kinds = [_kind(column) for column in zip(*(row[keys:] for row in section.rows), strict=True)]
    if kind != "main":
        kinds[0] = kinds[0] or ("" if keys == 0 and _all_numbers(section, 0) else "words")
    sortable = keys == 0 and len(section.rows) > 1
    heads = "".join(
        _head(name, word, sortable) for name, word in zip(header[keys:], kinds, strict=True)
    )
    caption = f'<caption class="hidden">{escape(section.title)}</caption>'
    name = ' class="sortable"' if sortable else ""
    lines = [f"<table{name}>{caption}\n<thead><tr>{heads}</tr></thead>"]
    last: tuple[str, ...] | None = None
    for row in section.rows:
        if row[:keys] != last:
            lines.append("<tbody>" if last is None else "</tbody>\n<tbody>")
            last = row[:keys]
            if keys:
                point = ", ".join(f"{n} = {v}" for n, v in zip(header[:keys], last, strict=True))
                lines.append(
                    f'<tr class="point"><th colspan="{len(row) - keys}" scope="rowgroup">'
                    f"<span>{escape(point)}</span></th></tr>"
                )
        cells = "".join(
            _cell(text, word, column == heading)
            for column, (text, word) in enumerate(zip(row[keys:], kinds, strict=True))
        )
        lines.append(f"<tr>{cells}</tr>")
    return boxed("\n".join(lines) + "\n</tbody></table>", section.title, kind)


def _head(name: str, word: str, sortable: bool) -> str:
    kind = f' class="{word}"' if word else ""
    if not sortable:
        return f'<th scope="col"{kind}>{escape(name)}{help_button(name)}</th>'
    # The best number first; names and fractions in their own order.
    first = "ascending" if word or name.startswith("η") else "descending"
    return (
        f'<th scope="col"{kind} data-name="{escape(name)}">'
        f'<button type="button" class="sort" data-first="{first}">'
        f"{escape(name)}</button>{help_button(name)}</th>"
    )


def _all_numbers(section: Section, column: int) -> bool:
    return all(row[column] in ("", BLANK) or _NUMBER.match(row[column]) for row in section.rows)


def _kind(column: Sequence[str]) -> str:
    """Class of a column: words start at the left and may wrap; sentences keep a readable width."""
    if all(text in ("", BLANK) or _NUMBER.match(text) for text in column):
        return ""
    return "words prose" if max(map(len, column)) > 34 else "words"


def _cell(text: str, word: str, heading: bool) -> str:
    """A number stands out; what follows it, its interval, steps back.

    Only a cell of words has a class: the page's script sorts all others by the number they open
    with.
    """
    kind = f' class="{word}"' if word else ""
    if heading:
        return f'<th scope="row"{kind}>{breakable(text)}</th>'
    first, space, rest = text.partition(" ")
    if word or not space or not _NUMBER.match(text):
        return f"<td{kind}>{escape(text)}</td>"
    return f"<td>{escape(first)} <small>{escape(rest)}</small></td>"
