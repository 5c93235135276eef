"""A leaderboard as one self-contained HTML page: nothing is fetched, and its policy forbids it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from w2s_groups.reports.page import gains, heat, mix
from w2s_groups.reports.page.tables import main_table, plain
from w2s_groups.reports.page.terms import glossary, marked, popovers
from w2s_groups.reports.section import Section
from w2s_groups.results.format import IMAGE
from w2s_groups.results.grid import Grid

_WITHOUT = (
    '<section id="samples">\n<h2>Sample images</h2>\n<p>The photographs are others\' work and are '
    "not in this page: a run writes samples.png and samples_leaderboard.html, this page with a "
    "sheet of images for each group, beside it on the machine that has them.</p>\n</section>"
)


def render(
    title: str,
    panels: Sequence[tuple[Grid, Sequence[Section]]],
    common: Sequence[Section],
    generated: str,
    pictures: Mapping[str, bytes] | None = None,
) -> str:
    """HTML of a whole report: a tab for each grid with its sections, then what all share."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    names = [content[0].title for _, content in panels]
    nouns = {grid.noun for grid, _ in panels}
    noun = nouns.pop() if len(nouns) == 1 else "sample"
    samples = f"{_WITHOUT}\n" if noun == IMAGE else ""
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{k}" aria-controls="panel-{k}">'
        f"{escape(name)}</button>"
        for k, name in enumerate(names)
    )
    many = len(panels) > 1
    bar = f'<div class="tabs" role="tablist" aria-label="Dataset and networks">{tabs}</div>\n'
    role = ' role="tabpanel" aria-labelledby="tab-{k}"' if many else ""
    body = "\n".join(
        f'<div id="panel-{k}" class="panel"{role.format(k=k)}>\n'
        f"{_panel(grid, content, f'p{k}')}\n</div>"
        for k, (grid, content) in enumerate(panels)
    )
    rest = "\n".join(_section(section, 2, _image(section, pictures or {})) for section in common)
    return (
        f"<!-- {escape(generated)} -->\n<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the results</a>\n'
        f"<header><h1>{escape(title)}</h1>\n"
        '<button type="button" class="theme js-only">Theme: auto</button></header>\n'
        f'<main id="main" tabindex="-1">\n{bar if many else ""}{body}\n{samples}{rest}\n'
        f"{glossary(noun)}\n{popovers(noun)}\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def with_samples(page: str, sheet: bytes) -> str:
    """A page of `render` with a PNG of sample images in place of the sentence that names it."""
    data = base64.b64encode(sheet).decode()
    image = (
        '<section id="samples">\n<h2>Sample images</h2>\n<p>A row for each group. The photographs '
        "are others' work: look at them, do not publish them.</p>\n"
        f'<img class="sheet" src="data:image/png;base64,{data}" '
        'alt="Sample images, a row for each group with its name and number of images">\n</section>'
    )
    return page.replace(_WITHOUT, image)


def _asset(name: str) -> str:
    return "\n" + files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _panel(grid: Grid, content: Sequence[Section], key: str) -> str:
    parts = [_section(content[0], 2)]
    for section in content[1:]:
        if section.kind == "main":
            parts.append(_section(section, 3, main_table(section, key), table=False))
            if len(grid.methods) > 1:  # the teacher alone has no gain to map
                maps = Section("Maps over η_ℓ and η_u")
                parts.append(_section(maps, 3, heat.draw(grid, key)))
            continue
        picture = ""
        if section.kind == "gain" and len(grid.methods) > 1:
            picture = gains.draw(grid, key)
        elif section.kind == "kept":
            picture = mix.draw(grid)
        parts.append(_section(section, 3, picture))
    return "\n".join(parts)


def _image(section: Section, pictures: Mapping[str, bytes]) -> str:
    """The PNG that a section names, inside the page."""
    if section.figure not in pictures:
        return ""
    data = base64.b64encode(pictures[section.figure]).decode()
    alt = f"{section.title}: the numbers are in the table below"
    return (
        '<div class="figure" tabindex="0" role="group" aria-label="Figure"><img class="sheet" '
        f'src="data:image/png;base64,{data}" alt="{escape(alt)}"></div>'
    )


def _section(section: Section, level: int, inner: str = "", table: bool = True) -> str:
    seen: set[str] = set()
    parts = [f"<section>\n<h{level}>{escape(section.title)}</h{level}>"]
    parts += [f"<p>{marked(line, seen)}</p>" for line in section.text]
    if section.bullets:
        items = "\n".join(f"<li>{marked(line, seen)}</li>" for line in section.bullets)
        parts.append(f"<ul>\n{items}\n</ul>")
    if inner:
        parts.append(inner)
    if table and section.rows:
        parts.append(plain(section))
    return "\n".join(parts) + "\n</section>"
