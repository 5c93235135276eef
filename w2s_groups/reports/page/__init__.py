"""A leaderboard as one self-contained HTML page: nothing is fetched, and its policy forbids it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from w2s_groups.reports.page import front, html, parts, terms
from w2s_groups.reports.section import Section
from w2s_groups.results.format import IMAGE
from w2s_groups.results.grid import Grid


def render(
    title: str,
    panels: Sequence[tuple[Grid, Sequence[Section]]],
    common: Sequence[Section],
    generated: str,
    settings: Mapping[str, Any] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> str:
    """HTML of a whole report: the result, a tab for each grid with its sections, what all share."""
    grids = [grid for grid, _ in panels]
    nouns = {grid.noun for grid in grids}
    noun = nouns.pop() if len(nouns) == 1 else "sample"
    names = parts.names(grids)
    page = html.render(
        "page",
        title=title,
        generated=generated,
        style=html.asset("page.css"),
        script=html.asset("page.js"),
        front=front.draw(grids, settings or {}, names),
        tabs=names,
        panels=[parts.of_panel(grid, content, f"p{k}") for k, (grid, content) in enumerate(panels)],
        samples=html.render("samples", sheet="") if noun == IMAGE else "",
        common=parts.of_common(common, pictures or {}),
        terms=terms.glossary(noun),
    )
    return f"{page}\n"


def with_samples(page: str, sheet: bytes) -> str:
    """A page of `render` with a PNG of sample images in place of the sentence that names it."""
    without = html.render("samples", sheet="")
    return page.replace(without, html.render("samples", sheet=html.as_base64(sheet)))
