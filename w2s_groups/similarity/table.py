"""The two networks of a run in numbers: dimensions, overlap, and what they see of the groups."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from w2s_groups.similarity.group_dimensions import Estimate, PairReport


def rows(report: PairReport) -> list[dict[str, Any]]:
    """One {name, symbol, value, error, definition} per number; NaN becomes None, as JSON needs."""
    share = f"{report.fraction:.0%} of the trace"
    chance_canonical = f"two unrelated subspaces would give {report.chance_canonical:.0f}"
    chance_sketch = f"two unrelated subspaces would give {report.chance_sketch:.0f}"
    groups = f"in units of d_z = {report.d_z} directions that the groups change detectably"
    table: list[tuple[str, str, Estimate, str]] = [
        ("intrinsic dimension, teacher", "d_w", report.d_w, f"top eigenvalues with {share}"),
        ("intrinsic dimension, student", "d_s", report.d_s, f"top eigenvalues with {share}"),
        (
            "correlation dimension, canonical",
            "d_sw",
            report.d_sw_canonical,
            f"sum of squared canonical correlations; {chance_canonical}",
        ),
        (
            "correlation dimension, corrected",
            "d_sw",
            report.d_sw_corrected,
            "the canonical one less what chance adds at this sample size",
        ),
        (
            "correlation dimension, sketch",
            "d_sw",
            report.d_sw_sketch,
            f"DLLL25's own estimator, error over sketches; {chance_sketch}",
        ),
        ("similarity", "CKA", report.cka, "linear centred kernel alignment"),
        ("group features seen, teacher", "p_w", report.p_w, f"d_w within groups / d_z, {groups}"),
        ("group features seen, student", "p_s", report.p_s, f"d_s within groups / d_z, {groups}"),
        ("group features shared", "p_sw", report.p_sw, f"d_sw within groups / d_z, {groups}"),
    ]
    return [
        {
            "name": name,
            "symbol": symbol,
            "value": _number(estimate.value),
            "error": _number(estimate.error),
            "definition": definition,
        }
        for name, symbol, estimate, definition in table
    ]


def read(path: Path) -> list[dict[str, Any]]:
    """The rows that were kept at `path`; OSError or ValueError if they are not there or whole."""
    found = json.loads(path.read_bytes())
    keys = {"name", "symbol", "value", "error", "definition"}
    if not isinstance(found, list) or not all(
        isinstance(row, dict) and set(row) == keys for row in found
    ):
        raise ValueError("not the numbers of a pair of networks")
    return found


def _number(value: float) -> float | None:
    """To 6 significant digits: the last ones depend on the machine's linear algebra."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
