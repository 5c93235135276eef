"""Features that someone has computed already: a matrix in a .npy, .npz, .pt or .parquet file."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from w2s_groups.backbones import hub
from w2s_groups.core.errors import InputError
from w2s_groups.features.extraction import Features, listed_or_stopped

PREFIX = "file/"
# A column of one of these names holds labels or numbers of rows, and would be taken for a feature.
_LABELS = (
    "y|labels?|targets?|class(es)?|category|categories|gold_?label|a|attributes?|place|background|"
    "groups?|split|fold|partition|set|subset|domain|env|metadata|y_(true|pred)|prediction"
)
_IDS = (
    r"(.*[_ .-])?(ids?|idx|index|indices|uid|uuid|key|rows?|no|nr|number|num)|i|n|unnamed: \d+|"
    r"__index_level_\d+__|(image|img|file|sample|row|text)(ids?|idx|index|nr|no|num|number)"
)
_SHOWN = 6  # names in one sentence

log = logging.getLogger("w2s_groups")


def is_features(spec: str) -> bool:
    """Whether `spec` names a file of features rather than a network."""
    return spec.startswith(PREFIX)


@dataclass(frozen=True, eq=False)
class Content:
    """What a file of features holds. matrix: (M, d). texts: where -> M texts that may be names.

    numbers: where there are whole numbers that tell rows apart and are not features ("" for none).
    """

    matrix: NDArray[Any]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: str = ""


def read(
    spec: str,
    files: Sequence[str],
    on_bad_image: str = "stop",
    *,
    noun: str = "image",
    listed: NDArray[np.int64] | None = None,
) -> Features:
    """Features of N images from file/PATH; `files` are the dataset's names, in its order.

    .npy: (N, d). .npz, and .pt with a dict: `features` (M, d) and names (M,) in any other entry,
    or one entry (d,) for each name. .parquet: a column or an index of names, and numeric columns,
    or one column `features` of lists. A file with names is joined by them; rows of other images
    are left out. A file without any is read in the order of the list that the dataset came with
    (`listed`, as in ImageDataset), which the log says. Names that are not the dataset's, numbers
    of rows and labels are refused, as they cannot be told from features. A row that is not finite
    counts as a bad image. Raises InputError for anything that doesn't fit.
    """
    path = Path(spec.removeprefix(PREFIX))
    readers = {".npy": _npy, ".npz": _npz, ".pt": _pt, ".parquet": _parquet}
    if path.suffix not in readers:
        raise InputError(f"{spec} must end in {', '.join(readers)}; save the features as one")
    if not path.is_file():
        raise InputError(f"{spec} names a file that is missing: {path.absolute()}")
    try:
        content = readers[path.suffix](spec, path, files)
    except InputError:
        raise
    except Exception as error:  # numpy, zip, torch and pyarrow each have their own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{spec} can't be read ({reason}); write it again") from error
    matrix = _checked(spec, content.matrix, noun)
    if content.texts:
        matrix = matrix[_by_name(spec, matrix, content.texts, files, noun)]
    else:
        matrix = _by_place(spec, matrix, content.numbers, len(files), noun)
        matrix = matrix if listed is None else matrix[listed]
    digest = hashlib.sha256(repr(matrix.shape).encode())
    digest.update(np.ascontiguousarray(matrix).data)
    bad = {
        int(row): f"features of {path.name} are not finite"
        for row in np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    }
    if bad:
        matrix = matrix.copy()
        matrix[list(bad)] = np.nan
    matrix.flags.writeable = False
    result = listed_or_stopped(spec, files, bad, on_bad_image, noun)
    return Features(matrix, result, digest.hexdigest()[:32], from_cache=True)


def _npy(spec: str, path: Path, files: Sequence[str]) -> Content:
    return Content(np.load(path, allow_pickle=False))


def _npz(spec: str, path: Path, files: Sequence[str]) -> Content:
    with np.load(path, allow_pickle=False) as arrays:
        return _of_arrays(spec, dict(arrays), files)


def _pt(spec: str, path: Path, files: Sequence[str]) -> Content:
    found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, torch.Tensor):
        return Content(_array(found))
    if not isinstance(found, Mapping):
        raise InputError(f"{spec} holds a {type(found).__name__}; save a tensor, or a dict of them")
    return _of_arrays(spec, {str(key): _array(value) for key, value in found.items()}, files)


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


def _parquet(spec: str, path: Path, files: Sequence[str]) -> Content:
    hub.need(spec, "pyarrow", "parquet")
    table = pd.read_parquet(path)
    texts: dict[str, Sequence[str]] = {}
    numbers = ""
    for level in range(table.index.nlevels):
        held = table.index.get_level_values(level)
        if not pd.api.types.is_numeric_dtype(held.dtype):
            texts[f"the index {table.index.names[level] or ''}".strip()] = _as_texts(held)
        elif not np.array_equal(held, np.arange(len(table))):
            numbers = "the index"
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
    """Those of the texts that are names: that hold some of the dataset's, else all that may be
    others' (one for each of n rows, and no labels)."""
    known = set(files)
    held = {where: found for where, found in texts.items() if not known.isdisjoint(found)}
    return held or {
        where: found for where, found in texts.items() if len(found) == n and not _is_label(where)
    }


def _checked(spec: str, raw: NDArray[Any], noun: str) -> NDArray[np.float32]:
    """(M, d) float32."""
    if raw.dtype.kind not in "fiu":
        raise InputError(f"{spec} holds {raw.dtype} values; features are real numbers")
    if raw.ndim != 2 or raw.shape[1] == 0:
        raise InputError(
            f"{spec} has shape {raw.shape}; features are ({noun}s, d): flatten what is behind"
        )
    with np.errstate(over="ignore"):  # becomes infinite, and is named with its row
        return raw.astype(np.float32)


def _by_name(
    spec: str,
    matrix: NDArray[np.float32],
    texts: Mapping[str, Sequence[str]],
    files: Sequence[str],
    noun: str,
) -> NDArray[np.int64]:
    """Row of each image of the dataset, where one of the texts has the names of all of them."""
    known = set(files)
    by_shared = sorted(texts, key=lambda where: len(known.intersection(texts[where])))
    first, *others = by_shared[::-1]
    rows = _rows(spec, first, matrix, texts[first], files, noun)
    for other in others:
        if not known.issubset(texts[other]):
            continue
        if not np.array_equal(rows, _rows(spec, other, matrix, texts[other], files, noun)):
            raise InputError(
                f"{spec}: {first} and {other} both hold the names of all {noun}s, in different "
                "orders; leave one of them out"
            )
    return rows


def _by_place(
    spec: str, matrix: NDArray[np.float32], numbers: str, n: int, noun: str
) -> NDArray[np.float32]:
    """The matrix, whose rows are taken in the order of the dataset's own list."""
    if numbers:
        raise InputError(
            f"{spec} tells its rows apart by numbers ({numbers}), which are not the names of the "
            f"dataset's {noun}s; save the names with the features, or the features only, with one "
            f"row for each {noun} in the dataset's order"
        )
    if len(matrix) != n:
        raise InputError(
            f"{spec} has {len(matrix)} rows and the dataset {n} {noun}s; give one row for each in "
            "the dataset's order, or the names with them"
        )
    log.info("%s has no names: its rows are taken in the order of the data set's list", spec)
    return matrix


def _rows(
    spec: str,
    where: str,
    matrix: NDArray[np.float32],
    given: Sequence[str],
    files: Sequence[str],
    noun: str,
) -> NDArray[np.int64]:
    """Row of each image of the dataset, by the names that are given."""
    if len(given) != len(matrix):
        raise InputError(
            f"{spec} has {len(matrix)} rows of features and {len(given)} names in {where}"
        )
    place = {name: row for row, name in enumerate(given)}
    lacking = [file for file in files if file not in place]
    if len(place) < len(given) and len(lacking) < len(files):
        twice = next(name for row, name in enumerate(given) if place[name] != row)
        raise InputError(f"{spec} has {twice} twice in {where}; keep one row for each {noun}")
    if lacking:
        example = f" (it has {given[0]})" if given else ""
        raise InputError(
            f"{spec} lacks {len(lacking)} of {len(files)} {noun}s in {where}, such as "
            f"{lacking[0]}{example}; names are those of the dataset, for images the paths below "
            "its folder with forward slashes"
        )
    return np.array([place[file] for file in files], dtype=np.int64)
