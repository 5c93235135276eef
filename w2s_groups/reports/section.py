"""One part of a report, before it is Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A heading with sentences, bullets, a figure or a table; `keys` leading columns group rows.

    kind: what a page does with it beyond that: "main" (the table that is searched), "gain", "kept".
    """

    title: str
    text: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    figure: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    keys: int = 0
    kind: str = ""
