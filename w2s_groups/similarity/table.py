"""The two networks of a run in numbers: dimensions, overlap, and the group features they see.

A row is {key, name, symbol, value, error, chance, definition}. key: the field of `PairReport`, by
which readers find a row; chance: the value that two unrelated networks would give, or None;
name, symbol and definition are for display. Files of before key and chance were fields hold rows
without them; `upgraded` adds both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from w2s_groups.core.files import read_json
from w2s_groups.similarity.group_dimensions import Measurement, PairReport

_KEYS = {
    "intrinsic dimension, teacher": "d_w",
    "intrinsic dimension, student": "d_s",
    "correlation dimension, canonical": "d_sw_canonical",
    "correlation dimension, corrected": "d_sw_corrected",
    "correlation dimension, sketch": "d_sw_sketch",
    "similarity": "cka",
    "group features seen, teacher": "p_w",
    "group features seen, student": "p_s",
    "group features shared": "p_sw",
}
_NAMES = {key: name for name, key in _KEYS.items()}
_CHANCE = re.compile(r"two unrelated subspaces would give (\d+)$")
_OLD_FIELDS = {"name", "symbol", "value", "error", "definition"}
_FIELDS = _OLD_FIELDS | {"key", "chance"}


def rows(report: PairReport) -> list[dict[str, Any]]:
    """One row per number, of features standardised over the pool; NaN becomes None for JSON."""
    share = f"top eigenvalues with {report.fraction:.0%} of the trace, features standardised"
    if report.rank is not None:
        share += f"; all rows are estimates within the {report.rank} leading directions"
    groups = f"in units of d_z = {report.d_z} directions that the groups change detectably"
    by_chance = "two unrelated subspaces would give"
    canonical, sketch = report.chance_canonical, report.chance_sketch
    table: list[tuple[str, str, float | None, str]] = [
        ("d_w", "d_w", None, share),
        ("d_s", "d_s", None, share),
        (
            "d_sw_canonical",
            "d_sw",
            canonical,
            f"sum of squared canonical correlations; {by_chance} {canonical:.0f}",
        ),
        (
            "d_sw_corrected",
            "d_sw",
            None,
            "the canonical one less what chance adds at this sample size",
        ),
        (
            "d_sw_sketch",
            "d_sw",
            sketch,
            f"DLLL25's own estimator, error over sketches; {by_chance} {sketch:.0f}",
        ),
        ("cka", "CKA", None, "linear centred kernel alignment"),
        ("p_w", "p_w", None, f"d_w within groups / d_z, {groups}"),
        ("p_s", "p_s", None, f"d_s within groups / d_z, {groups}"),
        ("p_sw", "p_sw", None, f"d_sw within groups / d_z, {groups}"),
    ]
    return [
        _row(key, symbol, getattr(report, key), chance, definition)
        for key, symbol, chance, definition in table
    ]


def _row(
    key: str, symbol: str, measured: Measurement, chance: float | None, definition: str
) -> dict[str, Any]:
    return {
        "key": key,
        "name": _NAMES[key],
        "symbol": symbol,
        "value": _number(measured.value),
        "error": _error(measured),
        "chance": None if chance is None else _number(chance),
        "definition": definition,
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The rows that were kept at `path`; FileNotFoundError or ValueError without such.

    InputError, a ValueError too, where the file cannot be read.
    """
    stored = read_json(path)
    if not isinstance(stored, list) or not all(
        isinstance(row, dict) and set(row) in (_FIELDS, _OLD_FIELDS) for row in stored
    ):
        raise ValueError("not the numbers of a pair of networks")
    return upgraded(stored)


def upgraded(stored: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with `key` and `chance`, which rows that were stored earlier lack."""
    return [dict(row) if "key" in row else _upgraded(row) for row in stored]


def _upgraded(row: Mapping[str, Any]) -> dict[str, Any]:
    chance = _CHANCE.search(row["definition"])
    return {
        "key": _KEYS.get(row["name"], row["name"]),
        **row,
        "chance": float(chance[1]) if chance else None,
    }


def pairs_of(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pairs of a report's settings, each with its upgraded rows by key as `numbers`."""
    return [
        {**pair, "numbers": {row["key"]: row for row in upgraded(pair["numbers"])}}
        for pair in settings.get("pair") or ()
    ]


def _number(value: float) -> float | None:
    """To 6 significant digits: the last ones depend on the machine's linear algebra."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _error(measured: Measurement) -> float | None:
    """The error; 0 where it is below the digits that the value is kept to, as rounding may be."""
    value, error = measured.value, measured.error
    if (
        math.isfinite(value)
        and value
        and error < 10 ** (math.floor(math.log10(abs(value))) - 5) / 2
    ):
        return 0.0
    return _number(error)
