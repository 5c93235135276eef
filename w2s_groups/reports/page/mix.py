"""Group mix of the kept sets as bars: what was drawn above what selection kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from w2s_groups.reports.page.html import render
from w2s_groups.results.format import fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Floats, mean_interval

LEFT, WIDTH, BAR, ROW = 112, 640, 15, 42
SHADES = 6


class Group(NamedTuple):
    """An entry of the legend."""

    shade: str
    letter: str
    name: str
    minority: bool


class Block(NamedTuple):
    """The part of a bar that is one group; text is empty where it does not fit."""

    shade: str
    x: str
    width: str
    middle: str
    text: str


class Stack(NamedTuple):
    """One bar."""

    name: str
    y: int
    blocks: list[Block]


class Point(NamedTuple):
    """The two bars of one (eta_l, eta_u)."""

    top: int
    eta_l: str
    eta_u: str
    stacks: list[Stack]


class Picture(NamedTuple):
    """The bars of one method."""

    label: str
    title: str
    height: int
    points: list[Point]


def draw(grid: Grid) -> Markup:
    """A picture for each method that keeps a part; nothing where none does."""
    pictures = [
        _picture(grid, m, method_label(name))
        for m, name in enumerate(grid.methods)
        if not np.isnan(grid.kept_share[:, m]).all()
    ]
    if not pictures:
        return Markup()
    groups = [
        Group(_shade(g), _letter(g), name, bool(few))
        for g, (name, few) in enumerate(zip(grid.groups, grid.minority, strict=True))
    ]
    return render("mix", groups=groups, pictures=pictures, width=WIDTH, left=LEFT, bar=BAR)


def _letter(g: int) -> str:
    return chr(ord("A") + g) if g < 26 else str(g + 1)


def _shade(g: int) -> str:
    return f"g{g % SHADES}"


def _picture(grid: Grid, m: int, label: str) -> Picture:
    points: list[Point] = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        kept = np.asarray(mean_interval(grid.kept_share[p, m].T).mean)
        if np.isnan(kept).all():
            continue
        counts = grid.drawn["unlabelled"][p]
        drawn = np.asarray(mean_interval((counts / counts.sum(axis=-1, keepdims=True)).T).mean)
        top = len(points) * ROW + 4
        stacks = [
            Stack("drawn", top, list(_blocks(drawn))),
            Stack("kept", top + BAR + 2, list(_blocks(kept))),
        ]
        points.append(Point(top, f"{eta_l:g}", f"{eta_u:g}", stacks))
    title = f"{label}: group mix of the unlabelled set and of what is kept"
    return Picture(label, title, len(points) * ROW + 4, points)


def _blocks(shares: Floats) -> Iterator[Block]:
    """The parts of a bar. shares: (G,), NaN for a group that is absent."""
    x = float(LEFT)
    for g, share in enumerate(shares):
        if np.isnan(share) or share <= 0:
            continue
        wide = float(share) * (WIDTH - LEFT - 2)
        number = f" {fixed(float(share), 2)}" if wide > 40 else ""
        text = f"{_letter(g)}{number}" if wide > 11 else ""
        yield Block(_shade(g), fixed(x, 1), fixed(wide, 1), fixed(x + wide / 2, 1), text)
        x += wide
