"""Gain against eta_u in small panels, a line of panels for each eta_l: SVG without a colour in it.

Colours are classes of the page's style sheet, so that one drawing serves dark, light and print.
"""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from w2s_groups.reports.page.tables import breakable, plain
from w2s_groups.reports.section import Section
from w2s_groups.reports.summary import SHOWN
from w2s_groups.reports.verdict import RANKED
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Floats, Interval, paired_gain

WIDTH, HEIGHT = 224, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 34
OPEN = 4  # eta_l lines shown at once; more of them start closed


def gains(grid: Grid, metric: str) -> dict[str, Interval]:
    """Paired gain of every method but the teacher at every point, each (P,)."""
    value = grid.metric(metric)
    teacher = value[:, grid.methods.index("teacher")]
    return {
        name: paired_gain(value[:, m], teacher)
        for m, name in enumerate(grid.methods)
        if name != "teacher"
    }


def draw(grid: Grid, key: str) -> str:
    """Switch between metrics, panels and the numbers behind them. key: makes ids its own."""
    found = {metric: gains(grid, metric) for metric in RANKED}
    radios = "".join(
        f'<label><input type="radio" name="{key}-metric" value="{metric}"'
        f"{' checked' if metric == RANKED[0] else ''}>{SHOWN[metric]}</label>"
        for metric in RANKED
    )
    switch = (
        f'<fieldset class="controls js-only metric"><legend>Gain in</legend>{radios}</fieldset>'
    )
    legend = (
        '<p class="legend"><span class="line"></span> the method named above the panel, band: '
        '95 % interval; <span class="line grey"></span> W2S, for reference; η_u runs to the right. '
        "All panels of a metric share their scales.</p>"
    )
    blocks = "\n".join(
        f'<div data-metric="{metric}"><h4>Gain, {SHOWN[metric]}</h4>{_lines(grid, metric, each)}'
        "</div>"
        for metric, each in found.items()
    )
    return f'<div class="switch">{switch}{legend}{blocks}</div>{_numbers(grid, found)}'


def _lines(grid: Grid, metric: str, found: dict[str, Interval]) -> str:
    etas = list(dict.fromkeys(point[0] for point in grid.points))
    low, high = _range(found)
    ticks = [float(v) for v in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    out = []
    for k, eta_l in enumerate(etas):
        panels = "".join(
            f"<figure><figcaption>{breakable(method_label(name))}</figcaption>"
            f"{_panel(grid, metric, found, name, eta_l, (low, high), ticks)}</figure>"
            for name in found
        )
        box = f'<div class="panels">{panels}</div>'
        is_open = " open" if k < OPEN else ""
        out.append(f"<details{is_open}><summary>η_ℓ = {eta_l:g}</summary>{box}</details>")
    return "".join(out)


def _range(found: dict[str, Interval]) -> tuple[float, float]:
    ends = [0.0]
    for each in found.values():
        ends += [float(v) for part in each[:3] for v in part if np.isfinite(v)]
    margin = 0.05 * (max(ends) - min(ends)) or 0.01
    return min(ends) - margin, max(ends) + margin


def _panel(
    grid: Grid,
    metric: str,
    found: dict[str, Interval],
    method: str,
    eta_l: float,
    limits: tuple[float, float],
    ticks: list[float],
) -> str:
    rows = [p for p, point in enumerate(grid.points) if point[0] == eta_l]
    every = [point[1] for point in grid.points]
    first, last = min(every), max(every)
    span = (last - first) or 1.0

    def x(eta: float) -> float:
        if last == first:
            return (LEFT + WIDTH - RIGHT) / 2
        return LEFT + 6 + (eta - first) / span * (WIDTH - LEFT - RIGHT - 12)

    def y(value: float) -> float:
        low, high = limits
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = []
    digits = _digits(ticks)
    for tick in ticks:
        if not limits[0] <= tick <= limits[1]:
            continue
        at, kind = _n(y(tick)), "zero" if abs(tick) < 1e-12 else "rule"
        parts.append(f'<path class="{kind}" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>')
        label = fixed(tick, digits, sign=abs(tick) > 1e-12)
        parts.append(f'<text class="end" x="{LEFT - 4}" y="{_n(y(tick) + 3.5)}">{label}</text>')
    for eta in _shown(sorted({grid.points[p][1] for p in rows}), x):
        parts.append(f'<text class="mid" x="{_n(x(eta))}" y="{HEIGHT - 19}">{eta:g}</text>')
        parts.append(f'<path class="tick" d="M{_n(x(eta))} {HEIGHT - BOTTOM}v3"/>')
    middle = _n((LEFT + WIDTH - RIGHT) / 2)
    parts.append(f'<text class="mid axis" x="{middle}" y="{HEIGHT - 4}">η_u</text>')
    etas = [grid.points[p][1] for p in rows]
    if method != "w2s" and "w2s" in found:
        parts.append(_curve("ref", [x(e) for e in etas], found["w2s"].mean[rows], y))
    gain = found[method]
    parts.append(_band([x(e) for e in etas], gain.low[rows], gain.high[rows], y))
    parts.append(_curve("own", [x(e) for e in etas], gain.mean[rows], y))
    parts += [
        f'<circle cx="{_n(x(eta))}" cy="{_n(y(float(gain.mean[p])))}" r="2.4"/>'
        for eta, p in zip(etas, rows, strict=True)
        if np.isfinite(gain.mean[p])
    ]
    title = f"{method_label(method)}, η_ℓ = {eta_l:g}: gain, {SHOWN[metric]}"
    told = "; ".join(
        f"η_u {eta:g}: {fixed(float(gain.mean[p]), sign=True)}"
        for eta, p in zip(etas, rows, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><desc>{escape(told)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _shown(etas: list[float], x: Any) -> list[float]:
    """Ticks that do not run into each other: the ends, and what fits between them."""
    room = 33.0
    kept = etas[:1]
    for eta in etas[1:-1]:
        if x(eta) - x(kept[-1]) >= room and x(etas[-1]) - x(eta) >= room:
            kept.append(eta)
    return kept + etas[-1:] if len(etas) > 1 else kept


def _curve(kind: str, xs: list[float], values: Floats, y: Any) -> str:
    path, down = "", False
    for at, value in zip(xs, values, strict=True):
        if math.isfinite(value):
            path += f"{'L' if down else 'M'}{_n(at)} {_n(y(float(value)))}"
        down = math.isfinite(value)
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def _band(xs: list[float], low: Floats, high: Floats, y: Any) -> str:
    """One area a run of points without a gap; a lone point has a bar."""
    out, start = "", 0
    there = [*np.isfinite(low), False]
    for k, is_there in enumerate(there):
        if is_there:
            continue
        run = range(start, k)
        start = k + 1
        if not run:
            continue
        if len(run) == 1:
            at = _n(xs[run[0]])
            ends = (_n(y(float(high[run[0]]))), _n(y(float(low[run[0]]))))
            out += f'<path class="bar" d="M{at} {ends[0]}V{ends[1]}"/>'
            continue
        up = [f"{_n(xs[k])} {_n(y(float(high[k])))}" for k in run]
        back = [f"{_n(xs[k])} {_n(y(float(low[k])))}" for k in reversed(run)]
        out += f'<path class="band" d="M{"L".join([*up, *back])}Z"/>'
    return out


def _digits(ticks: list[float]) -> int:
    step = min(b - a for a, b in pairwise(ticks)) if len(ticks) > 1 else 0.1
    return next((d for d in (1, 2, 3) if abs(round(step, d) - step) < 1e-9), 4)


def _n(value: float) -> str:
    """A coordinate: a tenth of a pixel, the same on every machine."""
    return fixed(value, 1).removesuffix(".0")


def _numbers(grid: Grid, found: dict[str, dict[str, Interval]]) -> str:
    names = list(found[RANKED[0]])
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        for name in names:
            cells = []
            for metric in RANKED:
                one = found[metric][name].at(p)
                cells.append(bracket(one) if np.isfinite(one.mean) else BLANK)
            rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(name), *cells))
    header = ("η_ℓ", "η_u", "method", *(f"gain, {SHOWN[metric]}" for metric in RANKED))
    table = plain(Section("Gains behind the panels", header=header, rows=tuple(rows)), 2, "main")
    return f'<details class="numbers"><summary>The panels as a table</summary>{table}</details>'
