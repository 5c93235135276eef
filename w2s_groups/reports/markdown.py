"""A leaderboard as Markdown, the small table of a README, and the table in a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np

from w2s_groups.core.text import WIDTH, count, wrapped
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.reports.verdict import sentences, smallest
from w2s_groups.results.format import BLANK, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Interval, accuracy_interval, mean_interval

MAIN = ("teacher", "w2s", "selective", "baseline", "ceiling")
SMALL = ("average", "worst_group")  # metrics of the small table


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    for mark in ("\\", "`", "*", "|", "![", "]("):  # a bare [a, b] is no link
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
    """Rows (η_ℓ, η_u), a column a method: average and worst-group accuracy in percent.

    Each with half the width of its interval over seeds. Of many methods only those of MAIN are
    shown: a README has no room for more.
    """
    many = len(grid.methods) > 8
    shown = [m for m, name in enumerate(grid.methods) if not many or name in MAIN]
    header = ["η_ℓ", "η_u", *(method_label(grid.methods[m]) for m in shown)]
    intervals = [accuracy_interval(grid.metric(name), grid.step()) for name in SMALL]
    rows = [
        [f"{eta_l:g}", f"{eta_u:g}"]
        + [" / ".join(_percent(interval, p, m) for interval in intervals) for m in shown]
        for p, (eta_l, eta_u) in enumerate(grid.points)
    ]
    caption = _caption(grid, len(shown))
    lines = textwrap.wrap(caption, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, "", _table(header, rows)])


def _caption(grid: Grid, shown: int) -> str:
    """What the small table shows of how many methods."""
    one = len(grid.seeds) == 1
    bars = "One seed: no intervals." if one else "±: half the width of a 95 % interval over seeds."
    sentences = [
        f"`{grid.data}`, {escape(setup_name(grid))}, {count(len(grid.seeds), 'seed')}.",
        f"Accuracy in percent: average (η_t = 1/2) / worst group ({smallest(grid)}). {bars}",
    ]
    lost = sum(len(run.seeds) for run in grid.missing)
    if lost:
        sentences.append(f"{count(lost, 'run')} missing: listed in the report.")
    rules = sorted(set(grid.chosen_by.values()))
    if rules and not any("[" in name for name in grid.chosen_by):
        sentences.append(f"Settings chosen in each cell by select = {', '.join(rules)}.")
    if shown < len(grid.methods):
        sentences.append(f"{shown} of {len(grid.methods)} methods: the others are in the report.")
    return " ".join(sentences)


def _percent(interval: Interval, p: int, m: int) -> str:
    """`90.7±1.0`, which no line break parts; `90.7` without an interval.

    Of an interval that ends at 0 or 100 it is the larger half.
    """
    mean, low, high = (float(part[p, m]) for part in interval[:3])
    shown = [v for v in (mean, max(mean - low, high - mean)) if not math.isnan(v)]
    # Rounded as fractions, so that a tie falls on the side that it has in the report.
    return "±".join(fixed(100 * float(fixed(v)), 1) for v in shown) or BLANK


def terminal(grid: Grid, of_settings: Sequence[str] = ()) -> str:
    """Accuracies of every point, then the verdict, in at most WIDTH columns of plain ASCII.

    of_settings: sentences on how settings were chosen, which come first.
    """
    lines = [
        f"{grid.data}: {grid.teacher} -> {grid.student}",
        f"n_l = {grid.n_l}, n_u = {grid.n_u}, {count(len(grid.seeds), 'seed')}; average "
        f"(eta_t = 1/2)/worst-group accuracy ({smallest(grid)})",
    ]
    per_block = 5
    for start in range(0, len(grid.methods), per_block):
        names = grid.methods[start : start + per_block]
        parted = [method_label(name).replace("[", " [").replace(",", ", ") for name in names]
        heads = [textwrap.wrap(name, 12) for name in parted]
        lines.append("")
        for left in range(max(map(len, heads)), 0, -1):  # long names take several lines
            start_of_line = f"{'eta_l':>6} {'eta_u':>6}" if left == 1 else " " * 13
            parts = ["" if left > len(head) else head[-left] for head in heads]
            lines.append(start_of_line + "".join(f"{part:>13}" for part in parts))
        for p, (eta_l, eta_u) in enumerate(grid.points):
            pairs = _pairs(grid, p, 3)[start : start + per_block]
            cells = "".join(f"{'/'.join(pair):>13}" for pair in pairs)
            lines.append(f"{eta_l:>6g} {eta_u:>6g}{cells}")
    lines.append("")
    lost = [f"{count(sum(len(run.seeds) for run in grid.missing), 'run')} missing: see the report."]
    widest = [_widest(grid)] if len(grid.seeds) > 1 else []  # the verdict says it of one seed
    lines += [*widest, *of_settings, *sentences(grid), *(lost if grid.missing else [])]
    ascii_only = {"η_ℓ": "eta_l", "η_u": "eta_u", "η_t": "eta_t", "±": "+-", "→": "->"}
    ascii_only |= {BLANK: "-", "−": "-"}
    out = []
    for line in lines:
        for mark, plain in ascii_only.items():
            line = line.replace(mark, plain)
        is_sentence = not line.startswith(" ") and len(line) > WIDTH
        out += wrapped(line).splitlines() if is_sentence else [line]
    return "\n".join(out)


def _pairs(grid: Grid, p: int, digits: int) -> list[tuple[str, str]]:
    """(average, worst group) of each method at one point."""
    values = [grid.metric(name)[p] for name in ("average", "worst_group")]
    means = [mean_interval(value).mean for value in values]
    return [
        (fixed(float(means[0][m]), digits), fixed(float(means[1][m]), digits))
        for m in range(len(grid.methods))
    ]


def _widest(grid: Grid) -> str:
    """The interval that covers every number of a table too small to carry its own."""
    half = []
    for name in ("average", "worst_group"):
        interval = accuracy_interval(grid.metric(name), grid.step())
        each = np.maximum(interval.high - interval.mean, interval.mean - interval.low)
        widths = each[np.isfinite(each)]
        half.append(float(widths.max()) if widths.size else math.nan)
    if math.isnan(half[0]) and math.isnan(half[1]):
        return "One seed: no intervals."
    return f"95 % intervals over seeds: at most ±{fixed(half[0])} / ±{fixed(half[1])}."
