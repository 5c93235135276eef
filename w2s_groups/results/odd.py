"""Records that no run writes: a file whose checksum is right may still hold such.

Of a cell's file each record is checked, of a part of many cells its columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.results.columns import (
    ACCURACY,
    COLUMNS,
    DEFAULTS,
    LAZINESS,
    METRICS,
    POINT,
    RUN,
    SETUP,
)
from w2s_groups.results.columns import SPLITS as _SPLITS

FIELDS = (*SETUP, *POINT, *RUN)
_SHARES = {ACCURACY, "fraction", *(name for name, most in LAZINESS.items() if most == 1.0)}
_TYPES = {"str": (str,), "int64": (int,), "bool": (bool,), "float64": (float, int)}
_RECORD = [name for name in COLUMNS if name not in ("cell", *FIELDS, *DEFAULTS)]
_WITHIN = ("method", "split", "metric", "group")  # what no cell has twice
_values, _where = itemgetter(*_RECORD), itemgetter(*_WITHIN)
_judged = itemgetter("split", "metric", "value", "n", "y", "a")
_MOST = 2**63  # of whole numbers in the table
_ABOVE_1 = 1 + 1e-9  # a mean of accuracies that are all 1 may round up


def of_cell(fields: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str | None:
    """What no cell holds, in words; None where all is as a run writes it.

    Raises KeyError or TypeError where fields and records are not such at all.
    """
    for name in FIELDS:
        value = fields.get(name, DEFAULTS.get(name))
        if type(value) not in _TYPES[COLUMNS[name][0]] or not _in_range(name, value):
            return f"its {name}={value!r} is not {_what(name)}"
    if not records:
        return "it holds no record"
    for number, record in enumerate(records):
        if type(record) is not dict:
            return f"its record {number} is a {type(record).__name__}"
        if len(record) != len(_RECORD) or tuple(map(type, _values(record))) not in _KINDS:
            return f"its record {number} {_of_type(record)}"
        fault = _of_range(*_judged(record))
        if fault is not None:
            return f"its record {number} has {fault}"
    if len(set(map(_where, records))) < len(records):
        return "it holds a record twice"
    return None


def _of_range(split: str, metric: str, value: float | None, n: int, y: int, a: int) -> str | None:
    if split not in _SPLITS or metric not in METRICS:
        return f"split={split}, metric={metric}, which no run writes"
    if not (0 <= n < _MOST and -1 <= y < _MOST and -1 <= a < _MOST):
        return f"n={n}, y={y}, a={a}: n has to be 0 or more, y and a -1 or more"
    if value is None:
        return f"no value of the metric {metric}" if metric in ("count", "l2") else None
    if not (0 <= value < math.inf) or (metric in _SHARES and value > _ABOVE_1):
        return f"{metric}={value}, which is out of its range"
    return f"n=0 with {metric}={value}" if n == 0 and metric == ACCURACY else None


def of_columns(table: pa.Table) -> str | None:
    """The same of the columns of a part, whose texts are dictionaries; None where all is well."""
    names = [name for name in table.column_names if name in COLUMNS]
    fault = next((fault for name in names if (fault := _of_column(table, name))), None)
    if fault is not None:
        return fault
    for name, known in (("split", _SPLITS), ("metric", METRICS)):
        if other := set(names_of(table, name)) - known:
            return f"it holds {name}={min(other)}, which no run writes"
    metric, value = codes_of(table, "metric"), table["value"].to_numpy()
    share, of_accuracy, needed = (
        np.isin(names_of(table, "metric"), list(names))[metric]
        for names in (_SHARES, [ACCURACY], ["count", "l2"])
    )
    n, y, a = (table[name].to_numpy() for name in ("n", "y", "a"))
    faults = {
        "n below 0, or y or a below -1": (n < 0) | (y < -1) | (a < -1),
        "a value out of its range": (value < 0) | np.isinf(value) | (share & (value > _ABOVE_1)),
        "no value of a count or an l2": needed & np.isnan(value),
        "an accuracy of n=0": of_accuracy & (n == 0) & ~np.isnan(value),
    }
    found = next((text for text, where in faults.items() if where.any()), None)
    if found is not None:
        return f"it holds {found}"
    return "it holds a record twice" if _twice(table) else None


def _twice(table: pa.Table) -> bool:
    code: NDArray[np.int64] = codes_of(table, "cell").astype(np.int64)
    for name in _WITHIN:
        code = code * len(names_of(table, name)) + codes_of(table, name)
    code.sort()
    return bool((code[1:] == code[:-1]).any())


def _of_column(table: pa.Table, name: str) -> str | None:
    kind, column = COLUMNS[name][0], table[name]
    is_text = pa.types.is_dictionary(column.type)
    held = "str" if is_text else {"double": "float64"}.get(str(column.type), str(column.type))
    if held != kind and (held, kind) != ("int64", "float64"):
        return f"its column {name} holds {column.type}, not {kind}"
    return f"its column {name} has gaps" if column.null_count and name != "value" else None


def names_of(table: pa.Table, name: str) -> list[str]:
    """The distinct texts of a column of a table in one chunk."""
    column = table[name]
    return list(column.chunk(0).dictionary.to_pylist()) if column.num_chunks else []


def codes_of(table: pa.Table, name: str) -> NDArray[np.int32]:
    """(rows,) the position of each row's text among `names_of`."""
    column = table[name]
    empty = np.empty(0, dtype=np.int32)
    return np.asarray(column.chunk(0).indices) if column.num_chunks else empty


def _in_range(name: str, value: Any) -> bool:
    if name in POINT:
        return bool(0 <= value <= 1)
    return isinstance(value, str) or -1 <= value < _MOST


def _what(name: str) -> str:
    kind = COLUMNS[name][0]
    return {"str": "a text", "int64": "a whole number"}.get(kind, "a number in [0, 1]")


def _of_type(record: Mapping[str, Any]) -> str:
    odd = sorted(set(record) ^ set(_RECORD))
    if odd:
        return f"has other fields than a record ({', '.join(map(str, odd))[:100]})"
    types = {n: (*_TYPES[COLUMNS[n][0]], *((type(None),) if n == "value" else ())) for n in record}
    name = next(name for name in _RECORD if type(record[name]) not in types[name])
    return f"has {name}={str(record[name])[:50]}, a {type(record[name]).__name__}"


# Every tuple of types that a record of _RECORD may have.
_KINDS = {
    tuple(kind if name == "value" else _TYPES[COLUMNS[name][0]][0] for name in _RECORD)
    for kind in (float, int, type(None))
}
