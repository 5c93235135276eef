"""A leaderboard as Markdown, and the small table of a README."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import smallest
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.results.format import fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import MAIN, method_label
from w2s_groups.results.stats import accuracy_interval, mean_interval


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


def small_table(grid: Grid) -> str:
    """Rows (η_ℓ, η_u), a column a method: average / worst-group accuracy, means over seeds.

    Of more than eight methods only the main ones: a README has no room for more.
    """
    many = len(grid.methods) > 8
    shown = [m for m, name in enumerate(grid.methods) if not many or name in MAIN]
    header = ["η_ℓ", "η_u", *(method_label(grid.methods[m]) for m in shown)]
    rows = [
        [f"{eta_l:g}", f"{eta_u:g}", *(" / ".join(pairs[m]) for m in shown)]
        for p, (eta_l, eta_u) in enumerate(grid.points)
        if (pairs := pairs_at(grid, p))
    ]
    intro = (
        f"`{grid.data}`, {escape(setup_name(grid))}, {count(len(grid.seeds), 'seed')}: average "
        f"(η_t = 1/2) / worst-group accuracy ({smallest(grid)}). {widest_interval(grid)}"
    )
    lost = sum(len(run.seeds) for run in grid.missing)
    if lost:
        intro += f" {count(lost, 'run')} missing: listed in the report."
    rules = sorted(set(grid.chosen_by.values()))
    if rules and all(grid.base_of(name) == name for name in grid.chosen_by):
        intro += f" Settings chosen in each cell by select = {', '.join(rules)}."
    if many:
        intro += f" {len(shown)} of {len(grid.methods)} methods: the others are in the report."
    return f"{intro}\n\n{_table(header, rows)}"


def pairs_at(grid: Grid, p: int) -> list[tuple[str, str]]:
    """(average, worst group) of each method at one point, means over seeds."""
    values = [grid.metric(name)[p] for name in ("average", "worst_group")]
    means = [mean_interval(value).mean for value in values]
    return [
        (fixed(float(means[0][m])), fixed(float(means[1][m]))) for m in range(len(grid.methods))
    ]


def widest_interval(grid: Grid) -> str:
    """The widest interval of a table whose numbers have none of their own, as a sentence."""
    half = []
    for name in ("average", "worst_group"):
        interval = accuracy_interval(grid.metric(name), grid.step())
        each = np.maximum(interval.high - interval.mean, interval.mean - interval.low)
        widths = each[np.isfinite(each)]
        half.append(float(widths.max()) if widths.size else math.nan)
    if math.isnan(half[0]) and math.isnan(half[1]):
        return "One seed: no intervals."
    return f"95 % intervals over seeds: at most ±{fixed(half[0])} / ±{fixed(half[1])}."
