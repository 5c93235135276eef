"""Cells as the store keeps them."""

from __future__ import annotations

from typing import Any

from w2s_groups.results import store
from w2s_groups.results.store import Stored

FIELDS = {
    "data": "d",
    "teacher": "t",
    "student": "s",
    "n_l": 10,
    "n_u": 20,
    "eta_l": 0.05,
    "eta_u": 0.5,
    "seed": 0,
}


def record(value: float | None, group: str = "g") -> dict[str, Any]:
    return {
        "method": "teacher",
        "split": "test",
        "group": group,
        "y": 0,
        "a": 1,
        "minority": True,
        "metric": "accuracy",
        "value": value,
        "n": 3,
    }


def cell(
    *records: dict[str, Any], numerics: int = 1, seed: int = 0, made_with: Any = None
) -> Stored:
    identity = {"numerics": numerics, "seed": seed, "l2": 0.1}
    fields = {**FIELDS, "seed": seed}
    return Stored(
        store.cell_key(identity), identity, fields, made_with or {}, list(records) or [record(0.25)]
    )
