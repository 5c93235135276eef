"""A leaderboard as one self-contained HTML page: nothing is fetched, figures are inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from w2s_groups.reports.format import BLANK
from w2s_groups.reports.sections import Section

_CSS = """
:root { color-scheme: light dark; --ink: #1a1a1a; --muted: #5c6370; --paper: #fff;
  --line: #dfe2e7; --band: #f4f5f7; --accent: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --muted: #a9adb5; --paper: #16181d; --line: #31353d; --band: #20242b;
    --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 86rem; margin: 0 auto; padding: 1rem clamp(.9rem, 3vw, 2.5rem) 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; overflow-wrap: anywhere; }
p, li { max-width: 48rem; overflow-wrap: anywhere; }
p { color: var(--muted); margin: .4rem 0 .8rem; }
ul { padding-left: 1.2rem; } li { margin: .35rem 0; }
h2.setup { border-top: 3px solid var(--accent); padding-top: 1rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px;
  max-width: 100%; width: fit-content; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .6rem; text-align: right; white-space: nowrap; background: var(--paper);
  border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--muted); vertical-align: bottom; }
tbody:last-child tr:last-child > * { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; font-weight: 600;
  box-shadow: inset -1px 0 var(--line); }
tr.point th { background: var(--band); text-align: left; font-weight: 600; box-shadow: none; }
tr.point span { position: sticky; left: .7rem; }
td small { color: var(--muted); font-size: .85em; }
.words { white-space: normal; overflow-wrap: break-word; text-align: left; }
.prose { min-width: 15rem; }
.figure { overflow-x: auto; max-width: 100%; }
img { display: block; width: 100%; min-width: 34rem; max-width: 66rem; height: auto; }
"""


def render(
    title: str,
    content: Sequence[Section],
    pictures: Mapping[str, tuple[bytes, bytes]],
    generated: str,
) -> str:
    """HTML of a whole report; pictures: figure name -> PNG for light and for dark screens."""
    body = "\n".join(_section(section, pictures) for section in content)
    return (
        f"<!-- {escape(generated)} -->\n<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section, pictures: Mapping[str, tuple[bytes, bytes]]) -> str:
    kind = ' class="setup"' if section.bullets and not section.text else ""
    parts = [f"<section>\n<h2{kind}>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(line)}</p>" for line in section.text]
    if section.bullets:
        items = "\n".join(f"<li>{escape(line)}</li>" for line in section.bullets)
        parts.append(f"<ul>\n{items}\n</ul>")
    if section.figure:
        light, dark = (_data(image) for image in pictures[section.figure])
        parts.append(
            '<div class="figure" tabindex="0"><picture>\n'
            f'<source srcset="{dark}" media="(prefers-color-scheme: dark)">\n'
            f'<img src="{light}" alt="{escape(section.title)}"></picture></div>'
        )
    if section.rows:
        parts.append(_table(section))
    return "\n".join(parts) + "\n</section>"


def _table(section: Section) -> str:
    keys, header = section.keys, section.header
    columns = zip(*(row[keys + 1 :] for row in section.rows), strict=True)
    kinds = ["", *map(_kind, columns)]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for name, kind in zip(header[keys:], kinds, strict=True)
    )
    lines = [f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>']
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
        cells = "".join(map(_cell, row[keys + 1 :], kinds[1:]))
        lines.append(f'<tr><th scope="row">{escape(row[keys])}</th>{cells}</tr>')
    return "\n".join(lines) + "\n</tbody></table></div>"


def _kind(column: Sequence[str]) -> str:
    """Class of a column: words start at the left and may wrap; sentences keep a readable width."""
    if all(text in ("", BLANK) or _starts_with_number(text) for text in column):
        return ""
    return ' class="words prose"' if max(map(len, column)) > 24 else ' class="words"'


def _starts_with_number(text: str) -> bool:
    return text.partition(" ")[0].lstrip("+-").replace(".", "", 1).isdigit()


def _cell(text: str, kind: str) -> str:
    """A number stands out; what follows it, its interval, steps back."""
    first, space, rest = text.partition(" ")
    if kind or not space or not _starts_with_number(text):
        return f"<td{kind}>{escape(text)}</td>"
    return f"<td>{escape(first)} <small>{escape(rest)}</small></td>"


def _data(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()
