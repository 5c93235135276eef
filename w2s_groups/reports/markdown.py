"""A leaderboard as Markdown, and the small table of a README."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import population, runs, smallest
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.results import quantity
from w2s_groups.results.format import BLANK, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import MAIN, method_label
from w2s_groups.results.stats import Interval

SMALL = ("average", "worst_group")  # metrics of the small table


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    for mark in ("\\", "`", "*", "|", "![", "]("):  # a bare [a, b] is not a link
        text = text.replace(mark, "\\" + mark)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.split())


def render(title: str, content: Sequence[Section], generated: str) -> str:
    """Markdown of a whole report."""
    parts = [f"<!-- {generated} -->", f"# {escape(title)}"]
    for section in content:
        parts.append(f"## {escape(section.title)}")
        parts += [escape(line) for line in section.text]
        if section.bullets:
            parts.append("\n".join(f"- {escape(line)}" for line in section.bullets))
        if section.figure:
            parts.append(f"![{escape(section.title)}]({section.figure})")
        if section.rows:
            parts.append(_table(section.header, section.rows))
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(escape(cell) if i != 1 else cell for cell in line) + " |"
        for i, line in enumerate(lines)
    )


def ranked(section: Section) -> str:
    """The ranked table of a suite with its first sentence, for a README."""
    lines = textwrap.wrap(escape(section.text[0]), 100, break_long_words=False)
    return "\n".join([*lines, "", _table(section.header, section.rows)])


def small_table(grid: Grid) -> str:
    """Rows (η_ℓ, η_u), a column a method: average and worst-group accuracy, or risk.

    Each with half the width of its interval over seeds. Of more than eight methods only the main
    ones are shown: a README has no room for more.
    """
    many = len(grid.methods) > 8
    shown = [m for m, name in enumerate(grid.methods) if not many or name in MAIN]
    header = ["η_ℓ", "η_u", *(method_label(grid.methods[m]) for m in shown)]
    intervals = [quantity.accuracies(grid, name) for name in SMALL]
    rows = [
        [f"{eta_l:g}", f"{eta_u:g}"]
        + [" / ".join(_short(interval, p, m) for interval in intervals) for m in shown]
        for p, (eta_l, eta_u) in enumerate(grid.points)
    ]
    caption = _caption(grid, len(shown))
    lines = textwrap.wrap(caption, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, "", _table(header, rows)])


def _caption(grid: Grid, shown: int) -> str:
    """Setup, quantity and omissions of the small table. shown: number of methods."""
    one = len(grid.seeds) == 1
    bars = "One seed: no intervals."
    if not one:
        bars = f"±: half the width of a 95 % interval {population(grid)}."
    sentences = [
        f"`{grid.data}`, {escape(setup_name(grid))}, {count(len(grid.seeds), runs(grid)[:-1])}.",
        f"{grid.measure.label.capitalize()}: average (η_t = 1/2) / worst group "
        f"({smallest(grid)}). {bars}",
    ]
    lost = sum(len(run.seeds) for run in grid.missing)
    if lost:
        sentences.append(f"{count(lost, 'run')} missing: listed in the report.")
    rules = sorted(set(grid.chosen_by.values()))
    if rules and all(grid.base_of(name) == name for name in grid.chosen_by):
        sentences.append(f"Settings chosen in each cell by select = {', '.join(rules)}.")
    if shown < len(grid.methods):
        sentences.append(f"{shown} of {len(grid.methods)} methods: the others are in the report.")
    return " ".join(sentences)


def _short(interval: Interval, p: int, m: int) -> str:
    """`0.907±0.010`, which no line break parts; `0.907` without an interval.

    Of an interval that ends at 0 or 1 it is the larger half.
    """
    mean, low, high = (float(part[p, m]) for part in interval[:3])
    shown = [v for v in (mean, max(mean - low, high - mean)) if not math.isnan(v)]
    return "±".join(map(fixed, shown)) or BLANK
