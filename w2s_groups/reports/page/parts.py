"""Sections as the page's template takes them: sentences with their terms, drawings, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from w2s_groups.reports.page import gains, heat, mix
from w2s_groups.reports.page.html import as_base64, render
from w2s_groups.reports.page.tables import main_table, plain
from w2s_groups.reports.page.terms import Piece, pieces
from w2s_groups.reports.section import Section
from w2s_groups.results.grid import Grid


@dataclass(frozen=True)
class Part:
    """A section of the page. level: of its heading."""

    level: int
    title: str
    paragraphs: list[list[Piece]]
    bullets: list[list[Piece]]
    drawing: Markup | str
    table: Markup | str


def of_panel(grid: Grid, content: Sequence[Section], key: str) -> list[Part]:
    """Sections of one setup with their drawings. key: makes the ids of the panel unique."""
    parts = [_part(content[0], 2)]
    for section in content[1:]:
        if section.kind == "main":
            parts.append(_part(section, 3, main_table(section, key), table=False))
            if len(grid.methods) > 1:  # there is no gain of the teacher
                maps = Section("Maps over η_ℓ and η_u")
                parts.append(_part(maps, 3, heat.draw(grid, key)))
            continue
        drawing: Markup | str = ""
        if section.kind == "gain" and len(grid.methods) > 1:
            drawing = gains.draw(grid, key)
        elif section.kind == "kept":
            drawing = mix.draw(grid)
        parts.append(_part(section, 3, drawing))
    return parts


def of_common(section: Section, pictures: Mapping[str, bytes]) -> Part:
    """A section that all setups share, with the PNG that it names."""
    drawing: Markup | str = ""
    if section.figure in pictures:
        png = as_base64(pictures[section.figure])
        drawing = render("figure", png=png, title=section.title)
    return _part(section, 2, drawing)


def _part(section: Section, level: int, drawing: Markup | str = "", table: bool = True) -> Part:
    seen: set[str] = set()
    return Part(
        level,
        section.title,
        [pieces(line, seen) for line in section.text],
        [pieces(line, seen) for line in section.bullets],
        drawing,
        plain(section) if table and section.rows else "",
    )
