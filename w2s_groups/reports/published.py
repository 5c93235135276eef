"""Published numbers of LDL25 and DLLL25 together with those that a run measured."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from w2s_groups.core.files import shipped
from w2s_groups.figures.similarity import FEWEST_PAIRS
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.results import quantity
from w2s_groups.results.format import BLANK, bracket, fixed
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import Interval
from w2s_groups.similarity.table import pairs_of

# Widths of the published networks' features, on which their chance level depends.
_WIDTH = {"ResNet-18": 512, "ResNet-34": 512, "CLIP ViT-B/32": 768}
_OTHER_WIDTH = 2048  # deeper ResNets


def _quoted(file: str) -> list[dict[str, str]]:
    path = shipped("published", "data/published") / file
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def claims() -> list[dict[str, str]]:
    """Rows of ldl25_average_gain.csv."""
    return _quoted("ldl25_average_gain.csv")


def dimensions(settings: Mapping[str, Any]) -> list[Section]:
    """DLLL25's dimensions on UTKFace and those of the run's own pairs, by its own estimator.

    Where there are enough pairs for the figure of gain and similarity.
    """
    pairs = [pair for pair in pairs_of(settings) if pair["numbers"]]
    if len(pairs) < FEWEST_PAIRS:
        return []
    text = (
        "d_w and d_s at 99 % of the trace and DLLL25's sketched correlation dimension d_sw. chance "
        "is the value of the same estimator for two unrelated subspaces of those dimensions, "
        "d_w d_s / r with r the smaller number of features. Where the two agree, the estimator "
        "carries no information about the pair; gain is therefore compared with canonical "
        "correlations, corrected for chance."
    )
    header = ("data", "pair", "status", "d_w", "d_s", "d_sw", "chance", "d_sw − chance")
    data = (settings.get("data") or {}).get("name", "")
    rows = [*_quoted_dimensions(), *(_measured_dimensions(pair, data) for pair in pairs)]
    return [Section("Dimensions, published and measured", (text,), header=header, rows=tuple(rows))]


def _quoted_dimensions() -> Iterator[tuple[str, ...]]:
    """One row for each of DLLL25's teachers."""
    quoted = _quoted("dlll25_utkface_dims.csv")
    (student,) = (row for row in quoted if row["role"] == "student")
    for row in quoted:
        if row["role"] == "teacher":
            d_w, d_s = int(row["intrinsic_dim"]), int(student["intrinsic_dim"])
            value = float(row["correlation_dim_with_clip_vitb32"])
            r = min(_WIDTH.get(name, _OTHER_WIDTH) for name in (row["model"], student["model"]))
            pair = f"{row['model']} → {student['model']}"
            status = "quoted, not verified"
            yield "UTKFace", pair, status, *_cells(d_w, d_s, value, d_w * d_s / r)


def _measured_dimensions(pair: Mapping[str, Any], data: str) -> tuple[str, ...]:
    rows = pair["numbers"]
    name, sketch = f"{pair['teacher']} → {pair['student']}", rows["d_sw_sketch"]
    cells = _cells(rows["d_w"]["value"], rows["d_s"]["value"], sketch["value"], sketch["chance"])
    return pair.get("data", data), name, "measured", *cells


def _cells(d_w: float, d_s: float, value: float, chance: float) -> tuple[str, ...]:
    difference = fixed(value - chance, 1, True)
    return f"{d_w:g}", f"{d_s:g}", fixed(value, 1), fixed(chance, 1), difference


def comparison(grids: Sequence[Grid], settings: Mapping[str, Any]) -> list[Section]:
    """Claimed / measured / difference, each with its own setting, in LDL25's two settings.

    For data with selective retraining at LDL25's (η_ℓ, η_u), of which one is the original share.
    """
    original = settings.get("eta_o")
    if original is None:
        return []
    rows = []
    for data in dict.fromkeys(grid.data for grid in grids):
        of_data = [grid for grid in grids if grid.data == data]
        for setting in (("0.5", "original"), ("original", "0.5")):
            at_l, at_u = (float(original) if eta == "original" else 0.5 for eta in setting)
            gains = _improvements(of_data, (at_l, at_u))
            if gains:
                where = f"{len(gains)} pairs, η_ℓ = {at_l:g}, η_u = {at_u:g}"
                rows += [_compared(c, data, gains, where) for c in claims() if _at(c) == setting]
    text = (
        "Improvement of selective retraining over W2S on average accuracy: LDL25's, quoted and not "
        "verified (lowest and highest over its pairs of networks, means over its n and N, percent "
        "of an unstated kind), and ours (lowest and highest over the pairs run here, means over "
        "seeds, in percentage points; each pair with its interval is above). Ranges over other "
        "networks show whether signs and sizes are alike, no more; a difference of the ends is "
        "given only where the data are the same, and reads percent as points."
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
    if not rows:
        return []
    return [Section("Comparison with the paper", (text,), header=header, rows=tuple(rows))]


def _at(claim: Mapping[str, str]) -> tuple[str, str]:
    return claim["eta_l"], claim["eta_u"]


def _compared(
    claim: Mapping[str, str], data: str, gains: Sequence[float], where: str
) -> tuple[str, ...]:
    """The row of one claim and the gains, in percentage points, of the pairs run here."""
    claimed = [float(claim[end] or "nan") for end in ("gain_low", "gain_high")]
    measured = (min(gains), max(gains))
    difference = "other data and networks"
    if data == claim["dataset"]:
        difference = _range([m - c for m, c in zip(measured, claimed, strict=True)])
        difference += ", of other networks"
    best = f"{claim['best_teacher']} → {claim['best_student']}"
    return (
        claim["dataset"],
        f"({claim['eta_l']}, {claim['eta_u']})",
        f"{_range(claimed)} percent",
        best if claim["best_student"] else BLANK,
        f"{claim['status']}, not verified",
        data,
        f"{_range(measured)} points, {where}",
        difference,
    )


def _range(ends: Sequence[float]) -> str:
    """`lowest +0.77, highest +16.68`; an end that is not known is left out."""
    named = zip(("lowest", "highest"), ends, strict=True)
    return ", ".join(f"{n} {fixed(v, 2, True)}" for n, v in named if np.isfinite(v)) or BLANK


def _improvements(grids: Sequence[Grid], point: tuple[float, float]) -> list[float]:
    """In percentage points, of each setup that has the point and both methods."""
    return [
        100 * float(gain.mean)
        for grid in grids
        if (gain := over(grid, "average", "selective", "w2s", point)) is not None
        and np.isfinite(gain.mean)
    ]


def over(
    grid: Grid, metric: str, method: str, other: str, point: tuple[float, float]
) -> Interval | None:
    """Paired difference of two methods at a point; None without one of them or the point."""
    m = grid.index(method)
    if m is None or other not in grid.methods or point not in grid.points:
        return None
    return quantity.differences(grid, metric, other).at(grid.points.index(point)).at(m)


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
            rows.append(
                (
                    grid.data,
                    setup_name(grid),
                    f"{point[0]:g}",
                    f"{point[1]:g}",
                    *cells,
                    str(grid.smallest_n),
                )
            )
    text = (
        "Paired differences in the same cells with 95 % t intervals over seeds; n is the smallest "
        "test group. Intervals are not corrected for their number."
    )
    header = (
        "data",
        "pair",
        "η_ℓ",
        "η_u",
        "W2S − teacher, average",
        "W2S − teacher, worst group",
        "selective − W2S, average",
        "selective − W2S, worst group",
        "n",
    )
    return [Section("Every pair", (text,), header=header, rows=tuple(rows), labels=4)]
