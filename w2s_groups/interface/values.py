"""Arrays, tensors, DataFrames and lists of the user -> NumPy arrays, or one clear sentence."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError


def array_of(value: Any, field: str) -> NDArray[Any]:
    """The value as a NumPy array, whatever library made it; a copy only where one is needed."""
    if hasattr(value, "detach"):  # a torch tensor, on any device and of any type
        value = value.detach().cpu()
        value = (value.float() if value.dtype.is_floating_point else value).numpy()
    elif hasattr(value, "to_numpy"):  # a DataFrame or Series of pandas or polars
        value = value.to_numpy()
    elif hasattr(value, "toarray"):
        raise InputError(f"{field} is a sparse matrix; give {field}.toarray()")
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{field} is not an array ({error}); give rows of one length") from error
    return array


def features(value: Any, field: str) -> NDArray[np.float32]:
    """(N, d) finite float32 features, in rows; InputError that names the first wrong number."""
    array = array_of(value, field)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            f"{field} of shape {array.shape} must be (N, d), a row for each sample and a column "
            "for each feature; reshape it"
        )
    if array.dtype == object:
        array = _of_objects(array, field)
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"{field} holds {array.dtype}, and features are real numbers; encode it as such"
        )
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(array, dtype=np.float32)
    wrong = np.argwhere(~np.isfinite(floats))
    if len(wrong):
        row, column = (int(k) for k in wrong[0])
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(
            f"{field}[{row}, {column}]={array[row, column]}{more} is not a finite float32 number; "
            "correct it, or leave the row out"
        )
    return floats


def _of_objects(array: NDArray[Any], field: str) -> NDArray[np.float64]:
    """Numbers that an array of objects holds, as a DataFrame of several types gives one."""
    for (row, column), value in np.ndenumerate(array):
        if not isinstance(value, numbers.Real):
            raise InputError(
                f"{field}[{row}, {column}]={value!r} is not a number; encode texts and categories "
                "as numbers, and leave out rows that lack one"
            )
    return array.astype(np.float64)


def column(value: Any, field: str, n: int) -> NDArray[Any]:
    """(n,) values; InputError for another length or shape."""
    array = array_of(value, field)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or len(array) != n:
        raise InputError(
            f"{field} of shape {array.shape} must be ({n},), one value for each row of weak; "
            "give as many"
        )
    return array


def texts(value: Any, field: str, n: int) -> tuple[str, ...]:
    """(n,) labels as text: whole numbers in digits, names as they are, what is missing as nan."""
    return tuple(_text(one, field, row) for row, one in enumerate(column(value, field, n).tolist()))


def _text(value: Any, field: str, row: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if value is None or value != value or str(value) == "<NA>":
        return "nan"
    if isinstance(value, numbers.Real):
        if float(value).is_integer():
            return str(int(float(value)))
        raise InputError(
            f"{field}[{row}]={value} is a fraction, and labels are names or whole numbers; for a "
            "numeric target give target="
        )
    raise InputError(f"{field}[{row}]={value!r} is not a label; give names or whole numbers")


def floats(value: Any, field: str, n: int) -> NDArray[np.float64]:
    """(n,) finite numbers."""
    array = column(value, field, n)
    try:
        known = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{field} must be numbers ({error}); correct it") from error
    wrong = np.flatnonzero(~np.isfinite(known))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{field}[{row}]={array[row]} is not a finite number; correct it")
    return known


def check_index(given: Mapping[str, Any]) -> None:
    """InputError where two pandas objects hold their rows under different indexes.

    given: name of an argument -> what was given. Rows are joined by position, as in NumPy, so an
    index in another order would join a label with another sample's features.
    """
    indexes = {
        name: value.index
        for name, value in given.items()
        if hasattr(value, "to_numpy") and hasattr(value, "index") and not callable(value.index)
    }
    first = next(iter(indexes), "")
    for name, index in indexes.items():
        if len(index) == len(indexes[first]) and not index.equals(indexes[first]):
            raise InputError(
                f"the index of {name} differs from that of {first}, and rows are joined by "
                f"position; give {name}.loc[{first}.index], or both without an index, as "
                "to_numpy() gives them"
            )


def setting(value: Any, field: str) -> Any:
    """A Python value as YAML would hold it: arrays and tuples as lists, paths and enums as text."""
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy and torch
        value = value.tolist()
    if isinstance(value, Enum | PurePath):
        return str(value.value if isinstance(value, Enum) else value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): setting(one, f"{field}.{key}") for key, one in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        return [setting(one, field) for one in value]
    raise InputError(
        f"{field}={value!r} is a {type(value).__name__}, and a setting is a number, a text, a list "
        "or a dict of them; change it"
    )
