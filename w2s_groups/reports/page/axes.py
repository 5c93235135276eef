"""The frame of small SVG panels: coordinates, ruled lines, labels, curves and intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from w2s_groups.core.lazy import ticker
from w2s_groups.results.format import fixed
from w2s_groups.results.stats import Floats

WIDTH, HEIGHT = 172, 112
LEFT, RIGHT, TOP, BOTTOM = 36, 6, 6, 20
ROOM = 30.0  # pixels between two labels of the eta_u axis


class Rule(NamedTuple):
    """A horizontal line of a panel with its label."""

    kind: str
    at: str
    text_at: str
    label: str


class Tick(NamedTuple):
    """A label of the eta_u axis."""

    at: str
    label: str


class Shape(NamedTuple):
    """A path: "ref" and "own" curves, "band" and "bar" intervals."""

    kind: str
    path: str


@dataclass(frozen=True)
class Axes:
    """The frame that all panels of one metric share. limits: of the gain; etas: least and most."""

    limits: tuple[float, float]
    etas: tuple[float, float]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM

    def x(self, eta: float) -> float:
        """Horizontal coordinate of an eta_u."""
        first, last = self.etas
        if last == first:
            return (LEFT + WIDTH - RIGHT) / 2
        return LEFT + 6 + (eta - first) / (last - first) * (WIDTH - LEFT - RIGHT - 12)

    def y(self, gain: float) -> float:
        """Vertical coordinate of a gain."""
        low, high = self.limits
        return TOP + (high - gain) / (high - low) * (HEIGHT - TOP - BOTTOM)

    @property
    def rules(self) -> list[Rule]:
        """Lines at round gains."""
        low, high = self.limits
        locator = ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
        ticks = [float(value) for value in locator.tick_values(low, high)]
        shown = digits(ticks)
        return [
            Rule(
                "zero" if abs(tick) < 1e-12 else "rule",
                pixel(self.y(tick)),
                pixel(self.y(tick) + 3.5),
                fixed(tick, shown, sign=abs(tick) > 1e-12),
            )
            for tick in ticks
            if low <= tick <= high
        ]

    def ticks(self, etas: Sequence[float]) -> list[Tick]:
        """Labels of the ends, and of what fits between them without running into each other."""
        kept = list(etas[:1])
        for eta in etas[1:-1]:
            if min(self.x(eta) - self.x(kept[-1]), self.x(etas[-1]) - self.x(eta)) >= ROOM:
                kept.append(eta)
        kept += etas[-1:] if len(etas) > 1 else []
        return [Tick(pixel(self.x(eta)), f"{eta:g}") for eta in kept]

    def curve(self, kind: str, etas: Sequence[float], values: Floats) -> Iterator[Shape]:
        """A line through the points that have a number, broken where one has none."""
        path, down = "", False
        for eta, value in zip(etas, values, strict=True):
            if math.isfinite(value):
                path += f"{'L' if down else 'M'}{pixel(self.x(eta))} {pixel(self.y(float(value)))}"
            down = math.isfinite(value)
        if path:
            yield Shape(kind, path)

    def intervals(self, etas: Sequence[float], low: Floats, high: Floats) -> Iterator[Shape]:
        """An area for each run of points without a gap; a bar for a single point."""
        for has_interval, run in groupby(range(len(etas)), lambda k: bool(np.isfinite(low[k]))):
            if not has_interval:
                continue
            ends = [
                tuple(map(pixel, (self.x(etas[k]), self.y(float(low[k])), self.y(float(high[k])))))
                for k in run
            ]
            if len(ends) == 1:
                ((x, bottom, top),) = ends
                yield Shape("bar", f"M{x} {top}V{bottom}")
                continue
            there = [f"{x} {top}" for x, _, top in ends]
            back = [f"{x} {bottom}" for x, bottom, _ in reversed(ends)]
            yield Shape("band", f"M{'L'.join([*there, *back])}Z")


def digits(ticks: Sequence[float]) -> int:
    """Decimals that tell neighbouring ticks apart."""
    step = min(b - a for a, b in pairwise(ticks)) if len(ticks) > 1 else 0.1
    return next((d for d in (1, 2, 3) if abs(round(step, d) - step) < 1e-9), 4)


def pixel(value: float) -> str:
    """A coordinate: a tenth of a pixel, the same on every machine."""
    return fixed(value, 1).removesuffix(".0")
