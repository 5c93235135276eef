"""A submitted method as the store keeps it."""

from __future__ import annotations

from typing import Any

from w2s_groups.results.submitted import Submission

CARD: dict[str, Any] = {
    "name": "mine", "authors": ["A. Body"], "url": "https://example.org", "summary": "a method",
    "group_labels_used": "none", "uses_true_labels": False, "reference": False,
    "tuning": {"what": "epochs", "data": "labelled", "trials": 30},
    "compute": {"hardware": "a core", "hours": 0.5},
    "networks": {"teacher": "t", "student": "s"},
}  # fmt: skip
GROUPS = [
    {"group": "g", "y": 0, "a": 0, "minority": False},
    {"group": "h", "y": 0, "a": 1, "minority": True},
]


def submission(keys: tuple[str, ...] = ("draw-0",), right: int = 3, **card: Any) -> Submission:
    """Draws with these keys, a seed each, of 4 and 0 test samples in two groups."""
    fields = {
        "data": "d", "teacher": "t", "student": "s", "n_l": 10, "n_u": 20, "eta_l": 0.05,
        "eta_u": 0.5,
    }  # fmt: skip
    cells = [
        {"cell": key, "draw": "0" * 64, "fields": {**fields, "seed": seed}, "right": [right, 0],
         "n": [4, 0]}
        for seed, key in enumerate(keys)
    ]  # fmt: skip
    return Submission({**CARD, **card}, "d", "1" * 64, GROUPS, cells, {}, {"w2s_groups": "0"})
