"""Files of features and what they hold: .npy, .npz, .pt and .parquet, one reader each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from w2s_groups.backbones import hub
from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd

# A column of one of these names holds labels or numbers of rows, and would be taken for a feature.
_LABELS = (
    "y|labels?|targets?|class(es)?|category|categories|gold_?label|a|attributes?|place|background|"
    "groups?|split|fold|partition|set|subset|domain|env|metadata|y_(true|pred)|prediction"
)
_IDS = (
    r"(.*[_ .-])?(ids?|idx|index|indices|uid|uuid|key|rows?|no|nr|number|num)|i|n|unnamed: \d+|"
    r"__index_level_\d+__|(image|img|file|sample|row|text)(ids?|idx|index|nr|no|num|number)"
)
MAPPED = 2**26  # bytes of a file from which on it is mapped rather than loaded
_SHOWN = 6  # names in one sentence


@dataclass(frozen=True, eq=False)
class Content:
    """What a file of features holds. matrix: (M, d). texts: where -> M texts that may be names.

    numbers: where there are whole numbers that tell rows apart and are not features ("" for none).
    """

    matrix: NDArray[Any]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: str = ""


def npy(spec: str, path: Path, files: Sequence[str]) -> Content:
    """One array, (N, d), without names; a large one stays in its file (a memory map)."""
    large = path.stat().st_size > MAPPED
    return Content(np.load(path, mmap_mode="r" if large else None, allow_pickle=False))


def npz(spec: str, path: Path, files: Sequence[str]) -> Content:
    """`features` and names, or one array for each name."""
    with np.load(path, allow_pickle=False) as arrays:
        return _of_arrays(spec, dict(arrays), files)


def pt(spec: str, path: Path, files: Sequence[str]) -> Content:
    """A tensor (N, d), or a dict as in an npz file; no code in the file is run."""
    held = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(held, torch.Tensor):
        return Content(_array(held))
    if not isinstance(held, Mapping):
        raise InputError(f"{spec} holds a {type(held).__name__}; save a tensor, or a dict of them")
    return _of_arrays(spec, {str(key): _array(value) for key, value in held.items()}, files)


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return np.asarray((value.float() if value.is_floating_point() else value).numpy())
    return np.asarray(value)


def _of_arrays(spec: str, arrays: Mapping[str, NDArray[Any]], files: Sequence[str]) -> Content:
    """Features with names in another array, or one array for each name."""
    if "features" not in arrays:
        if arrays and not set(files).isdisjoint(arrays):
            rows = list(arrays.values())
            if len({row.shape for row in rows}) > 1 or rows[0].ndim != 1:
                raise InputError(f"{spec}: the arrays of its names must be of one shape (d,)")
            return Content(np.stack(rows), {"the arrays' names": list(arrays)})
        shown = [*list(arrays)[:_SHOWN], *(["..."] if len(arrays) > _SHOWN else [])]
        raise InputError(
            f"{spec} has no array named features but {', '.join(shown) or 'none'}; save it "
            "with np.savez(path, features=..., files=...)"
        )
    features, texts, numbers = arrays["features"], {}, ""
    for name, array in arrays.items():
        if name == "features":
            continue
        if array.dtype.kind in "USO" and array.ndim >= 1:
            texts[name] = _as_texts(array)
        elif array.ndim == 1 and _tells_rows(name, array, len(features)):
            numbers = f"array {name}"
    return Content(features, _names_of(texts, files, len(features)), numbers)


def parquet(spec: str, path: Path, files: Sequence[str]) -> Content:
    """A table with names in its index or in a column, and features in the other columns."""
    hub.need(spec, "pyarrow", "parquet")
    table = pd.read_parquet(path)
    texts, numbers = _of_index(table.index)
    lists = table.get("features")
    table.columns = table.columns.map(str)
    for column in [name for name in table.columns if name != "features"]:
        values = table[column]
        if _holds_texts(values):
            texts[column] = _as_texts(table.pop(column))
        elif lists is not None and _tells_rows(column, values.to_numpy(), len(table)):
            numbers = f"column {column}"
    names = _names_of(texts, files, len(table))
    if lists is not None:
        if lists.empty or lists.isna().any() or lists.map(len).nunique() > 1:
            raise InputError(f"{spec}: the lists in column features must be of one length")
        return Content(np.stack(lists.to_list()), names, numbers)
    _check_columns(spec, table, [c for c in texts if c not in names and not _is_label(c)])
    return Content(table.to_numpy(dtype=np.float64), names, numbers)


def _of_index(index: pd.Index[Any]) -> tuple[dict[str, Sequence[str]], str]:
    """Texts of an index that may be names, and where it holds numbers that tell rows apart."""
    texts: dict[str, Sequence[str]] = {}
    numbers = ""
    for level in range(index.nlevels):
        held = index.get_level_values(level)
        if not pd.api.types.is_numeric_dtype(held.dtype):
            texts[f"the index {index.names[level] or ''}".strip()] = _as_texts(held)
        elif not np.array_equal(held, np.arange(len(index))):
            numbers = "the index"
    return texts, numbers


def _check_columns(spec: str, table: pd.DataFrame, texts: Sequence[str]) -> None:
    """InputError unless every column is one of features. texts: further ones, which are none."""
    odd = [*texts, *(str(c) for c in table if not pd.api.types.is_numeric_dtype(table[c]))]
    if odd or not len(table.columns):
        raise InputError(
            f"{spec}: {f'column {odd[0]} is not numeric' if odd else 'there is no feature'}; "
            "keep a column file and numeric columns, or one column features of lists"
        )
    all_whole = all(pd.api.types.is_integer_dtype(table[c]) for c in table)
    for column in table:
        name = str(column)
        what = "labels" if _is_label(name) else ""
        values = table[column].to_numpy()
        if not what and _tells_rows(name, values.astype(np.float64) if all_whole else values):
            what = "numbers of rows"
        if what:
            raise InputError(
                f"{spec}: column {name} would be taken for a feature and reads as {what}; leave "
                "it out, or give it another name if it is a feature"
            )


def _holds_texts(values: pd.Series[Any]) -> bool:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return not pd.api.types.is_numeric_dtype(values.cat.categories.dtype)
    if not pd.api.types.is_object_dtype(values.dtype):
        return pd.api.types.is_string_dtype(values.dtype)
    return all(isinstance(value, str | bytes) or value is None for value in values)


def _is_label(name: str) -> bool:
    return re.fullmatch(_LABELS, name.lower()) is not None


def _tells_rows(name: str, values: NDArray[Any], n: int | None = None) -> bool:
    """Whether (n,) numbers are ids by their name, or as each row has a whole one of its own."""
    if n not in (None, len(values)) or values.dtype.kind not in "iuf" or _is_label(name):
        return False
    distinct = values.dtype.kind in "iu" and len(values) > 2
    return bool(
        re.fullmatch(_IDS, name.lower()) or (distinct and len(np.unique(values)) == len(values))
    )


def _as_texts(values: Any) -> list[str]:
    flat = np.asarray(values, dtype=object).ravel().tolist()
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in flat]


def _names_of(
    texts: Mapping[str, Sequence[str]], files: Sequence[str], n: int
) -> dict[str, Sequence[str]]:
    """Those of the texts that are names: that hold some of the dataset's.

    Where none does, all that may be names of others: one for each of n rows, and no labels.
    """
    known = set(files)
    held = {where: values for where, values in texts.items() if not known.isdisjoint(values)}
    return held or {
        where: values
        for where, values in texts.items()
        if len(values) == n and not _is_label(where)
    }


# reader(spec, path, the dataset's names): they tell names from other texts.
READERS = {".npy": npy, ".npz": npz, ".pt": pt, ".parquet": parquet}
