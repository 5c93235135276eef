"""How many test samples of each identity and place every method decides rightly, of how many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.spreadsheet import as_text
from w2s_groups.results.columns import DEFAULTS, POINT, RUN, SETUP

Ints = NDArray[np.int64]
SHOWN = ["identity", "place", "group"]
RIGHT = "right: "  # before the name of a method, its column of samples that are right
LEADING = [*SETUP, *POINT, "seed", "fold", *SHOWN, "n"]


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of one cell. identity, place, group: (Q,) names; no triple of them twice.

    n: (Q,) test samples; right: method -> (Q,) those that it decides rightly.
    """

    identity: tuple[str, ...]
    place: tuple[str, ...]
    group: tuple[str, ...]
    n: Ints
    right: Mapping[str, Ints]

    @property
    def shown(self) -> tuple[tuple[str, ...], ...]:
        """The names, in the order of SHOWN."""
        return self.identity, self.place, self.group

    def as_json(self) -> dict[str, Any]:
        """As lists, for a cell's file."""
        return {
            **{name: list(names) for name, names in zip(SHOWN, self.shown, strict=True)},
            "n": self.n.tolist(),
            "right": {method: right.tolist() for method, right in self.right.items()},
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Self:
        """From the lists of `as_json`; ValueError or KeyError where they are not such."""
        identity, place, group = (tuple(map(str, content[name])) for name in SHOWN)
        n = np.asarray(content["n"], dtype=np.int64)
        right = {m: np.asarray(v, dtype=np.int64) for m, v in content["right"].items()}
        counts = cls(identity, place, group, n, right)
        if {*map(len, right.values()), *map(len, counts.shown)} - {len(n)}:
            raise ValueError("its counts by identity have different lengths")
        return counts


def table_of(
    cells: Iterable[tuple[Mapping[str, Any], Counts]], shown: pd.DataFrame
) -> pd.DataFrame:
    """One row a cell, identity, place and group: LEADING, and RIGHT + the name of each method.

    cells: the fields of each (SETUP, POINT, RUN) with its counts. shown: rows of these fields,
    `method`, and `shown`, the name under which a report shows it. The names of identities and
    places are those of the data set, behind an apostrophe where a spreadsheet would run one, such
    as @someone.
    """
    keys = [*SETUP, *POINT, *RUN]
    taken = {
        cell: dict(zip(rows["shown"], rows["method"], strict=True))
        for cell, rows in shown.groupby(keys, sort=False)
    }
    parts = []
    for fields, counts in cells:
        methods = taken.get(tuple({**DEFAULTS, **fields}[name] for name in keys))
        if methods:
            right = {RIGHT + name: counts.right[method] for name, method in methods.items()}
            texts = ([as_text(name) for name in names] for names in counts.shown)
            where = dict(zip(SHOWN, texts, strict=True))
            frame = pd.DataFrame({**where, "n": counts.n, **right})
            parts.append(frame.assign(**{n: fields[n] for n in LEADING if n in fields}))
    if not parts:
        return pd.DataFrame(columns=LEADING)
    return canonical(pd.concat(parts, ignore_index=True))


def canonical(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns and rows in one order; InputError where it is no such table."""
    lacking = [name for name in LEADING if name not in table]
    if lacking:
        raise InputError(f"the table of identities lacks the columns {', '.join(lacking)}")
    methods = [RIGHT + name for name in sorted(methods_of(table))]
    keys = LEADING[:-1]
    ordered = table[[*LEADING, *methods]].sort_values(keys, kind="stable", ignore_index=True)
    if ordered.duplicated(keys).any():
        raise InputError("the table of identities holds a row twice; run the experiment again")
    return ordered


def methods_of(table: pd.DataFrame) -> Sequence[str]:
    """The methods that the table counts for."""
    return [str(name).removeprefix(RIGHT) for name in table.columns if str(name).startswith(RIGHT)]
