"""One part of a report, before it is Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A heading with sentences, bullets, a figure or a table.

    keys: leading columns whose values group the rows. labels: leading columns that name a row: the
    page sorts them upwards first, and filters the main table by them. kind: how the page shows the
    section: "main" (its table is searched), "gain" and "kept" (with a drawing), "" otherwise.
    rising: columns of which the lowest number is the best, so that the page sorts them upwards.
    """

    title: str
    text: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    figure: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    keys: int = 0
    kind: str = ""
    labels: int = 0
    rising: tuple[str, ...] = ()
