"""Average against worst group, a dot a method, each with its name: SVG without overlapping labels.

A label takes the free place nearest to its dot; one that lies farther off gets a line to it. The
scales follow the ranked methods, which would be one blot next to a teacher far below them: what
lies farther out than twice their range stands at the edge, with an arrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from w2s_groups.core.lazy import ticker
from w2s_groups.reports.page.axes import digits, pixel
from w2s_groups.reports.page.html import render
from w2s_groups.reports.suite import Standing
from w2s_groups.results.format import fixed, plus_minus
from w2s_groups.results.method_facts import method_label

WIDTH, HEIGHT = 440, 320
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 8, 42
LETTER, LINE = 7.4, 13.0  # pixels of a letter and a line at the size of the labels
_RADII = (9, 14, 20, 28, 37, 47, 58, 70, 83, 97, 112, 128, 145)

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Tick(NamedTuple):
    """A ruled line at a value and its label. at: coordinate."""

    at: str
    label: str


class Dot(NamedTuple):
    """A method: its dot, the cross of its intervals, its label and the line to it, "" for none."""

    kind: str
    x: str
    y: str
    cross: str
    name: str
    title: str
    anchor: str
    label_x: str
    label_y: str
    leader: str


class Scale(NamedTuple):
    """Values low .. high on pixels start .. end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Coordinate of a value, inside the frame."""
        part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)

    @property
    def ticks(self) -> list[Tick]:
        """Round values."""
        locator = ticker.MaxNLocator(5, steps=[1, 2, 5, 10])
        values = [float(v) for v in locator.tick_values(self.low, self.high)]
        return [
            Tick(pixel(self.at(v)), fixed(v, max(digits(values), 2)))
            for v in values
            if self.low <= v <= self.high
        ]


def draw(rows: Sequence[Standing], metric: str = "accuracy") -> Markup:
    """The figure of all methods with both numbers; empty for fewer than two of them.

    metric: name of what is shown, such as "risk".
    """
    shown = [
        row
        for row in rows
        if np.isfinite(row.mean["average"].mean) and np.isfinite(row.mean["worst_group"].mean)
    ]
    if len(shown) < 2:
        return Markup()
    x = _scale(shown, "average", LEFT, WIDTH - RIGHT)
    y = _scale(shown, "worst_group", HEIGHT - BOTTOM, TOP)
    frame = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}
    frame |= {"top": TOP, "bottom": HEIGHT - BOTTOM}
    dots = list(_dots(shown, x, y))
    return render("scatter", dots=dots, x=x, y=y, frame=frame, metric=metric)


def _scale(shown: Sequence[Standing], metric: str, start: float, end: float) -> Scale:
    means = [float(row.mean[metric].mean) for row in shown]
    ranked = [float(row.mean[metric].mean) for row in shown if not row.reference]
    low, high = min(means), max(means)
    if len(ranked) > 1:
        span = max(max(ranked) - min(ranked), 0.01)
        low, high = max(low, min(ranked) - span), min(high, max(ranked) + span)
    margin = 0.08 * (high - low) or 0.01
    return Scale(low - margin, high + margin, start, end)


def _arrow(row: Standing, x: Scale, y: Scale) -> str:
    """` ↙` where the dot lies outside the frame, to say where; empty inside."""
    across, up = (
        (value > scale.high) - (value < scale.low)
        for value, scale in (
            (float(row.mean["average"].mean), x),
            (float(row.mean["worst_group"].mean), y),
        )
    )
    arrows = {(-1, 0): "←", (1, 0): "→", (0, 1): "↑", (0, -1): "↓",
              (-1, -1): "↙", (1, 1): "↗", (1, -1): "↘", (-1, 1): "↖"}  # fmt: skip
    return f" {arrows[across, up]}" if (across, up) in arrows else ""


def _dots(shown: Sequence[Standing], x: Scale, y: Scale) -> Iterator[Dot]:
    at = [(x.at(float(r.mean["average"].mean)), y.at(float(r.mean["worst_group"].mean)))
          for r in shown]  # fmt: skip
    names = [method_label(row.method) + _arrow(row, x, y) for row in shown]
    for row, name, (dot_x, dot_y), box in zip(shown, names, at, places(at, names), strict=True):
        left = box[2] <= dot_x
        near = (min(max(dot_x, box[0]), box[2]), min(max(dot_y, box[1]), box[3]))
        far = math.hypot(near[0] - dot_x, near[1] - dot_y) > 11
        end_x, end_y = map(pixel, near)
        ends = [row.mean[m] for m in ("average", "worst_group")]
        yield Dot(
            "reference" if row.reference else "student",
            pixel(dot_x),
            pixel(dot_y),
            _cross(row, dot_x, dot_y, x, y),
            name,
            f"{method_label(row.method)}: average {plus_minus(ends[0])}, worst group "
            f"{plus_minus(ends[1])}",
            "end" if left else "",
            pixel(box[2] - 1 if left else box[0] + 1),
            pixel(box[3] - 2.5),
            f"M{pixel(dot_x)} {pixel(dot_y)}L{end_x} {end_y}" if far else "",
        )


def _cross(row: Standing, dot_x: float, dot_y: float, x: Scale, y: Scale) -> str:
    """The two intervals of a method as a path; empty where it has none."""
    average, worst = row.mean["average"], row.mean["worst_group"]
    path = ""
    if np.isfinite(average.low):
        ends = (pixel(x.at(float(average.low))), pixel(x.at(float(average.high))))
        path += f"M{ends[0]} {pixel(dot_y)}H{ends[1]}"
    if np.isfinite(worst.low):
        ends = (pixel(y.at(float(worst.low))), pixel(y.at(float(worst.high))))
        path += f"M{pixel(dot_x)} {ends[0]}V{ends[1]}"
    return path


def places(dots: Sequence[tuple[float, float]], names: Sequence[str]) -> list[Box]:
    """A box for the name of each dot, inside the frame, on no other box and on no dot.

    Names in the thickest crowd choose last. One that finds no free place takes the nearest one.
    """
    taken: list[Box] = [(x - 4.5, y - 4.5, x + 4.5, y + 4.5) for x, y in dots]
    near = [sum(math.hypot(x - u, y - v) < 40 for u, v in dots) for x, y in dots]
    out: dict[int, Box] = {}
    for k in sorted(range(len(dots)), key=lambda k: (near[k], k)):
        width = LETTER * len(names[k]) + 2
        boxes = [
            box for box in _around(*dots[k], width)
            if box[0] >= LEFT + 1 and box[2] <= WIDTH - 1
            and box[1] >= 1 and box[3] <= HEIGHT - BOTTOM - 1
        ]  # fmt: skip
        free = (box for box in boxes if not any(_meet(box, other) for other in taken))
        out[k] = next(free, boxes[0] if boxes else next(_around(*dots[k], width)))
        taken.append(out[k])
    return [out[k] for k in range(len(dots))]


def _around(x: float, y: float, width: float) -> Iterator[Box]:
    """Boxes at growing distance: to the right and left, above and below, then between."""
    for radius in _RADII:
        for turn in (0, 8, 4, 12, 2, 14, 6, 10, 1, 15, 7, 9, 3, 13, 5, 11):
            angle = turn * math.pi / 8
            u, v = x + radius * math.cos(angle), y - radius * math.sin(angle)
            left = u if turn in (0, 1, 2, 3, 13, 14, 15) else u - width
            if turn in (4, 12):
                left = x - width / 2
            yield left, v - LINE / 2, left + width, v + LINE / 2


def _meet(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
