"""Maps over (eta_l, eta_u), one method at a time: a number in every cell, colour beside it."""

from __future__ import annotations

from html import escape

import numpy as np

from w2s_groups.reports.page.gains import gains
from w2s_groups.reports.page.tables import boxed
from w2s_groups.reports.summary import SHOWN
from w2s_groups.reports.verdict import RANKED
from w2s_groups.results.format import BLANK, bounds, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Interval, accuracy_interval

STEPS = 5  # shades on each side of the middle one
DENSE = 10  # columns above which cells are too small for a number


def draw(grid: Grid, key: str) -> str:
    """A choice of method and its maps: gains (where there is a teacher), worst-group accuracy."""
    maps: list[tuple[str, bool, dict[str, Interval]]] = []
    if grid.index("teacher") is not None:
        maps += [(f"gain, {SHOWN[metric]}", True, gains(grid, metric)) for metric in RANKED]
    worst = grid.metric("worst_group")
    accuracy = {
        name: accuracy_interval(worst[:, m], grid.step()) for m, name in enumerate(grid.methods)
    }
    maps.append(("accuracy, worst group", False, accuracy))
    scales = [_scale(found, diverges) for _, diverges, found in maps]
    options = "".join(
        f'<option value="{k}"{" selected" if name == _first(grid) else ""}>'
        f"{escape(method_label(name))}</option>"
        for k, name in enumerate(grid.methods)
    )
    choice = (
        f'<div class="controls js-only"><div class="field"><label for="{key}-heat">method</label>'
        f'<select id="{key}-heat" class="choose">{options}</select></div></div>'
    )
    legends = "".join(
        _legend(title, *scale, diverges)
        for (title, diverges, _), scale in zip(maps, scales, strict=True)
    )
    blocks = "\n".join(
        f'<div data-choice="{k}"><h4>{escape(method_label(name))}</h4><div class="maps">'
        + "".join(
            _map(grid, f"{method_label(name)}: {title}", found[name], *scale, diverges)
            for (title, diverges, found), scale in zip(maps, scales, strict=True)
            if name in found
        )
        + "</div></div>"
        for k, name in enumerate(grid.methods)
    )
    note = (
        "Rows η_ℓ, columns η_u. Shades of a map are shared by all methods. A gain in (brackets), "
        "or ○ in a small cell, is not told apart from 0: its 95 % interval holds 0, or one seed "
        "gives none. A small cell's number shows on pointing at it and is read aloud."
    )
    return (
        f'<div class="chooser">{choice}<p>{note}</p><div class="legends">{legends}</div>'
        f"{blocks}</div>"
    )


def _first(grid: Grid) -> str:
    return next((name for name in ("selective", "w2s") if name in grid.methods), grid.methods[0])


def _scale(found: dict[str, Interval], diverges: bool) -> tuple[float, float]:
    """Values of the first and the last shade."""
    means = np.concatenate([np.asarray(each.mean) for each in found.values()])
    means = means[np.isfinite(means)]
    if not means.size:
        return (-1.0, 1.0) if diverges else (0.0, 1.0)
    if diverges:
        most = float(np.abs(means).max()) or 1.0
        return -most, most
    low, high = float(means.min()), float(means.max())
    return low, high if high > low else low + 1.0


def shade(value: float, low: float, high: float, diverges: bool) -> str:
    """Class of a cell: n5 .. n1, z, p1 .. p5 about 0, or z, p1 .. p5 from low to high."""
    if np.isnan(value):
        return "none"
    if diverges:
        step = round(round(value / high, 9) * STEPS)
    else:
        step = min(int(round((value - low) / (high - low), 9) * (STEPS + 1)), STEPS)
    return "z" if step == 0 else f"{'p' if step > 0 else 'n'}{abs(step)}"


def _map(grid: Grid, title: str, found: Interval, low: float, high: float, diverges: bool) -> str:
    rows = list(dict.fromkeys(point[0] for point in grid.points))
    columns = sorted({point[1] for point in grid.points})
    place = {point: p for p, point in enumerate(grid.points)}
    dense = len(columns) > DENSE
    heads = "".join(f'<th scope="col">{eta:g}</th>' for eta in columns)
    lines = []
    for eta_l in rows:
        cells = ""
        for eta_u in columns:
            p = place.get((eta_l, eta_u))
            value = float("nan") if p is None else float(found.mean[p])
            if p is None or np.isnan(value):
                cells += f'<td class="none">{BLANK}</td>'
                continue
            number = fixed(value, sign=diverges)
            open_ = diverges and bool(found.holds(0.0)[p])
            shown = f"({number})" if open_ else number
            has = np.isfinite(found.low[p])
            full = f"η_ℓ {eta_l:g}, η_u {eta_u:g}: {number}"
            full += f" {bounds(found.at(p), diverges)}" if has else ""
            kind = shade(value, low, high, diverges)
            if dense:
                mark = '<i aria-hidden="true">○</i>' if open_ else ""
                shown = f'{mark}<b class="hidden">{shown}</b>'
            cells += f'<td class="{kind}" title="{full}">{shown}</td>'
        lines.append(f'<tr><th scope="row">{eta_l:g}</th>{cells}</tr>')
    table = (
        f'<table class="heat{" dense" if dense else ""}"><caption>{escape(title)}</caption>'
        f'<thead><tr><th scope="col">η_ℓ \\ η_u</th>{heads}</tr></thead>\n<tbody>'
        + "\n".join(lines)
        + "</tbody></table>"
    )
    return boxed(table, title, "map")


def _legend(title: str, low: float, high: float, diverges: bool) -> str:
    if diverges:
        steps = [(k, k / STEPS * high) for k in range(-STEPS, STEPS + 1)]
    else:
        steps = [(k, low + (k + 0.5) / (STEPS + 1) * (high - low)) for k in range(STEPS + 1)]
    keys = "".join(
        f'<li class="{shade(v, low, high, diverges)}">'
        f"{fixed(v, 2 if high >= 0.1 else 3, sign=diverges)}</li>"
        for _, v in steps
    )
    name = "middle of each shade"
    return f'<div class="key"><span>{escape(title)} ({name})</span><ul>{keys}</ul></div>'
