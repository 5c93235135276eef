"""LDL25's published improvement of selective retraining, beside what a run measured."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.reports.format import BLANK, bracket, fixed
from w2s_groups.reports.section import Section
from w2s_groups.results.stats import Interval, paired_gain
from w2s_groups.results.table import Grid


def published_dir() -> Path:
    """The folder of published numbers: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "published"
    return installed if installed.is_dir() else package.parent / "data" / "published"


def claims() -> list[dict[str, str]]:
    """Rows of ldl25_average_gain.csv."""
    path = published_dir() / "ldl25_average_gain.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def beside_the_paper(grids: Sequence[Grid], settings: Mapping[str, Any]) -> list[Section]:
    """Claimed / measured / difference, each with its own setting, in LDL25's two settings."""
    original = settings.get("eta_o")
    if settings.get("experiment") != "enhanced_w2s" or original is None:
        return []
    rows = []
    for eta_l, eta_u in (("0.5", "original"), ("original", "0.5")):
        at = tuple(float(original) if eta == "original" else 0.5 for eta in (eta_l, eta_u))
        found = _measured(grids, (at[0], at[1]))
        low, high = _ends(found)
        shown = f"{fixed(low, 2, True)} to {fixed(high, 2, True)}" if found else BLANK
        ours = f"{shown} points, {len(found)} pairs, η_ℓ = {at[0]:g}, η_u = {at[1]:g}"
        for claim in claims():
            if (claim["eta_l"], claim["eta_u"]) != (eta_l, eta_u):
                continue
            claimed = [float(claim[end]) if claim[end] else np.nan for end in _ENDS]
            text = f"{fixed(claimed[0], 2, True)} to {fixed(claimed[1], 2, True)} percent"
            best = f"{claim['best_teacher']} → {claim['best_student']}"
            same = bool(found) and any(grid.data == claim["dataset"] for grid in grids)
            difference = "other data and networks"
            if same:
                parts = (fixed(m - c, 2, True) for m, c in zip((low, high), claimed, strict=True))
                difference = " and ".join(parts)
            rows.append(
                (
                    claim["dataset"],
                    f"({eta_l}, {eta_u})",
                    text,
                    best if claim["best_student"] else BLANK,
                    claim["status"],
                    ", ".join(dict.fromkeys(grid.data for grid in grids)),
                    ours,
                    difference,
                )
            )
    text = (
        "Improvement of selective retraining over W2S on average accuracy: LDL25's, quoted and not "
        "verified (lowest and highest over its pairs of networks, means over its n and N, percent "
        "of an unstated kind), and ours (lowest and highest over the pairs run here, means over "
        "seeds, in percentage points). Ranges over other data and other networks say whether signs "
        "and sizes are alike, no more; a difference stands only where the data are the same."
    )
    header = (
        "claimed on",
        "(η_ℓ, η_u)",
        "claimed",
        "best pair",
        "status",
        "measured on",
        "measured",
        "difference",
    )
    return [Section("Beside the paper", (text,), header=header, rows=tuple(rows))]


_ENDS = ("gain_low", "gain_high")


def _ends(found: Sequence[float]) -> tuple[float, float]:
    return (min(found), max(found)) if found else (np.nan, np.nan)


def _measured(grids: Sequence[Grid], point: tuple[float, float]) -> list[float]:
    """Improvement in percentage points of each pair that has the point and both methods."""
    return [
        100 * float(gain.mean)
        for grid in grids
        if (gain := over(grid, "average", "selective", "w2s", point)) is not None
        and np.isfinite(gain.mean)
    ]


def over(
    grid: Grid, metric: str, method: str, other: str, point: tuple[float, float]
) -> Interval | None:
    """Paired difference of two methods at a point; None where one of them or the point lacks."""
    m, o = grid.index(method), grid.index(other)
    if m is None or o is None or point not in grid.points:
        return None
    value = grid.metric(metric)[grid.points.index(point)]
    return paired_gain(value[m], value[o])


def every_pair(grids: Sequence[Grid]) -> list[Section]:
    """W2S over its teacher and selective retraining over W2S, for each pair and point."""
    if len(grids) < 2:
        return []
    rows = []
    for grid in grids:
        for point in grid.points:
            cells = []
            for method, other in (("w2s", "teacher"), ("selective", "w2s")):
                for metric in ("average", "worst_group"):
                    gain = over(grid, metric, method, other, point)
                    cells.append(BLANK if gain is None else bracket(gain))
            pair = f"{grid.teacher} → {grid.student}"
            rows.append((pair, f"{point[0]:g}", f"{point[1]:g}", *cells, str(grid.smallest_n)))
    text = (
        "Paired differences in the same cells with 95 % t intervals over seeds; n is the smallest "
        "test group. Intervals are not corrected for their number."
    )
    header = (
        "pair",
        "η_ℓ",
        "η_u",
        "W2S − teacher, average",
        "W2S − teacher, worst group",
        "selective − W2S, average",
        "selective − W2S, worst group",
        "n",
    )
    return [Section("Every pair", (text,), header=header, rows=tuple(rows))]
