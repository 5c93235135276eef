"""Encoders of rows of a table by name: which columns they read, and what they make of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from w2s_groups.core.errors import InputError, unknown_name

COLUMNS, ONEHOT, RANDOM_FEATURES = "columns", "onehot", "random_features"
FORMS = (
    "table/columns[:COLUMN+COLUMN...]",
    "table/onehot[:COLUMN+COLUMN...]",
    "table/random_features[:COLUMN+COLUMN...]@WIDTH[:SEED]",
)
_WIDEST = 1 << 16


@dataclass(frozen=True)
class TableEncoder:
    """name: as it was given. columns: that it reads, sorted; none: all that it can read.

    kind: "columns", numbers as they are; "onehot", also an indicator of each category;
    "random_features", `width` random ReLU features of those, drawn by `seed`.
    """

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    width: int = 0
    seed: int = 0


def get(name: str) -> TableEncoder:
    """TableEncoder of table/<name>, in one of FORMS. Raises InputError for any other."""
    spec = f"table/{name}"
    reads, at, drawn = name.partition("@")
    kind, colon, columns = reads.partition(":")
    if kind not in (COLUMNS, ONEHOT, RANDOM_FEATURES):
        raise unknown_name("table encoder", spec, FORMS)
    listed = columns.split("+") if colon else []
    if "" in listed or len(set(listed)) < len(listed):
        raise InputError(
            f"{spec} must name each column once, with + between them, such as "
            f"table/{kind}:age+education"
        )
    if kind != RANDOM_FEATURES:
        if at:
            raise InputError(
                f"{spec} has a width, which only table/random_features has; take @{drawn} away"
            )
        return TableEncoder(spec, kind, tuple(sorted(listed)))
    numbers = re.fullmatch(r"([1-9][0-9]{0,4})(?::([0-9]{1,9}))?", drawn, re.ASCII)
    if numbers is None or int(numbers[1]) > _WIDEST:
        raise InputError(
            f"{spec} must end in a number of features, 1 to {_WIDEST}, and may name a seed: "
            f"table/{reads}@1024 or table/{reads}@1024:1"
        )
    width, seed = int(numbers[1]), int(numbers[2] or 0)
    return TableEncoder(spec, kind, tuple(sorted(listed)), width, seed)
