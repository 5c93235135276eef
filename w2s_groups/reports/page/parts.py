"""Sections as the page's template takes them: sentences with their terms, drawings, tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from w2s_groups.core.text import short
from w2s_groups.reports.page import gains, heat, mix
from w2s_groups.reports.page.html import as_base64, render
from w2s_groups.reports.page.tables import main_table, plain
from w2s_groups.reports.page.terms import Piece, pieces
from w2s_groups.reports.section import Section
from w2s_groups.results.grid import Grid

OPEN = 4  # sentences of a setup that are read without unfolding more


@dataclass(frozen=True)
class Part:
    """A section of the page. id: of its heading, whose level is `level`. folded: closed at first.

    more: further bullets, folded.
    """

    id: str
    level: int
    folded: bool
    title: str
    paragraphs: list[list[Piece]]
    bullets: list[list[Piece]]
    more: list[list[Piece]]
    drawing: Markup | str
    table: Markup | str


def names(grids: Sequence[Grid]) -> list[str]:
    """Names of setups by what tells them apart: data set, else networks too, else sizes too."""
    each = [
        (grid.data, f"{short(grid.teacher)} → {short(grid.student)}",
         f"n_ℓ = {grid.n_l}", f"n_u = {grid.n_u}")
        for grid in grids
    ]  # fmt: skip
    differ = [k for k in range(4) if len({one[k] for one in each}) > 1] or [0]
    kept = next((differ[:n] for n in range(1, len(differ)) if _apart(each, differ[:n])), differ)
    return [", ".join(one[k] for k in kept) for one in each]


def _apart(each: Sequence[Sequence[str]], kept: Sequence[int]) -> bool:
    return len({tuple(one[k] for k in kept) for one in each}) == len(each)


def of_panel(grid: Grid, content: Sequence[Section], key: str) -> list[Part]:
    """Sections of one setup: sentences and gains open, all else folded. key: part of its ids."""
    first, *others = content
    gain = [section for section in others if section.kind == "gain"]
    rest = [section for section in others if section.kind != "gain"]
    shown = [_part(first, key, 2, folded=False)]
    if len(grid.methods) > 1:  # there is no gain of the teacher
        shown += [_part(one, key, 3, gains.draw(grid, key), folded=False) for one in gain]
    for section in rest:
        if section.kind == "main":
            shown.append(_part(section, key, 3, main_table(section, key), table=False))
            if len(grid.methods) > 1:
                maps = Section("Maps over η_ℓ and η_u")
                shown.append(_part(maps, key, 3, heat.draw(grid, key)))
        else:
            drawing = mix.draw(grid) if section.kind == "kept" else ""
            shown.append(_part(section, key, 3, drawing))
    return shown


def of_common(sections: Sequence[Section], pictures: Mapping[str, bytes]) -> list[Part]:
    """Sections that all setups share, folded, with the PNG that each names."""
    parts = []
    for k, section in enumerate(sections):
        drawing: Markup | str = ""
        if section.figure in pictures:
            png = as_base64(pictures[section.figure])
            drawing = render("figure", png=png, title=section.title)
        parts.append(_part(section, f"c{k}", 2, drawing))
    return parts


def _part(
    section: Section,
    key: str,
    level: int,
    drawing: Markup | str = "",
    table: bool = True,
    folded: bool = True,
) -> Part:
    seen: set[str] = set()
    bullets = [pieces(line, seen) for line in section.bullets]
    kept = len(bullets) if folded or len(bullets) == OPEN + 1 else OPEN
    return Part(
        f"{key}-{_slug(section.title)}",
        level,
        folded,
        section.title,
        [pieces(line, seen) for line in section.text],
        bullets[:kept],
        bullets[kept:],
        drawing,
        plain(section) if table and section.rows else "",
    )


def _slug(title: str) -> str:
    """Letters and digits of a title, joined by hyphens."""
    return "-".join(re.findall(r"\w+", title.lower()))
