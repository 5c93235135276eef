"""A leaderboard as one self-contained HTML page: nothing is fetched, and its policy forbids it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from w2s_groups.reports.page import html, parts, terms
from w2s_groups.reports.section import Section
from w2s_groups.results.format import IMAGE
from w2s_groups.results.grid import Grid


def render(
    title: str,
    panels: Sequence[tuple[Grid, Sequence[Section]]],
    common: Sequence[Section],
    generated: str,
    pictures: Mapping[str, bytes] | None = None,
) -> str:
    """HTML of a whole report: a tab for each grid with its sections, then what all share."""
    nouns = {grid.noun for grid, _ in panels}
    noun = nouns.pop() if len(nouns) == 1 else "sample"
    page = html.render(
        "page",
        title=title,
        generated=generated,
        style=html.asset("page.css"),
        script=html.asset("page.js"),
        panels=[parts.of_panel(grid, content, f"p{k}") for k, (grid, content) in enumerate(panels)],
        samples=html.render("samples", sheet="") if noun == IMAGE else "",
        common=[parts.of_common(section, pictures or {}) for section in common],
        terms=terms.glossary(noun, any(not grid.measure.is_share for grid, _ in panels)),
    )
    return f"{page}\n"


def with_samples(page: str, sheet: bytes) -> str:
    """A page of `render` with a PNG of sample images in place of the sentence that names it."""
    without = html.render("samples", sheet="")
    return page.replace(without, html.render("samples", sheet=html.as_base64(sheet)))
