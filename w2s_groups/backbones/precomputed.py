"""Features that someone has computed already: a matrix in a .npy, .npz or .parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_groups.backbones import hub
from w2s_groups.errors import InputError
from w2s_groups.features import Features, listed_or_stopped

PREFIX = "file/"


def is_features(spec: str) -> bool:
    """Whether `spec` names a file of features rather than a network."""
    return spec.startswith(PREFIX)


def read(spec: str, files: Sequence[str], on_bad_image: str = "stop") -> Features:
    """Features of N images from file/PATH; `files` are the dataset's, in its order.

    .npy: (N, d), rows in the order of `files`. .npz: `features` (M, d) and, to join by name,
    `files` (M,). .parquet: a column `file` to join by name (without it: the order of `files`), and
    numeric columns, or one column `features` of lists. Rows of other images are left out. A row
    that is not finite counts as a bad image. Raises InputError for anything that doesn't fit.
    """
    path = Path(spec.removeprefix(PREFIX))
    readers = {".npy": _npy, ".npz": _npz, ".parquet": _parquet}
    if path.suffix not in readers:
        raise InputError(f"{spec} must end in {', '.join(readers)}; save the features as one")
    if not path.is_file():
        raise InputError(f"{spec} names a file that is missing: {path.absolute()}")
    try:
        raw, names = readers[path.suffix](spec, path)
    except InputError:
        raise
    except Exception as error:  # numpy, zip and pyarrow each have their own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{spec} can't be read ({reason}); write it again") from error
    matrix = _checked(spec, raw)
    if names is not None:
        matrix = matrix[_rows(spec, matrix, names, files)]
    elif len(matrix) != len(files):
        raise InputError(
            f"{spec} has {len(matrix)} rows and the dataset {len(files)} images; give one row for "
            "each in the dataset's order, or the files' names beside them"
        )
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
    listed = listed_or_stopped(spec, files, bad, on_bad_image)
    return Features(matrix, listed, digest.hexdigest()[:32], from_cache=True)


Found = tuple[NDArray[Any], NDArray[Any] | None]


def _npy(spec: str, path: Path) -> Found:
    return np.load(path, allow_pickle=False), None


def _npz(spec: str, path: Path) -> Found:
    with np.load(path, allow_pickle=False) as arrays:
        if "features" not in arrays:
            raise InputError(
                f"{spec} has no array named features but {', '.join(arrays) or 'none'}; save it "
                "with np.savez(path, features=..., files=...)"
            )
        return arrays["features"], arrays.get("files")


def _parquet(spec: str, path: Path) -> Found:
    hub.need(spec, "pyarrow", "parquet")
    table = pd.read_parquet(path)
    names = None
    if "file" in table:
        names = table.pop("file").to_numpy(dtype=object)
    if "features" in table:
        lists = table["features"]
        if lists.empty or lists.isna().any() or lists.map(len).nunique() > 1:
            raise InputError(f"{spec}: the lists in column features must be of one length")
        return np.stack(lists.to_list()), names
    wrong = [c for c in table if not pd.api.types.is_numeric_dtype(table[c])]
    if wrong or table.empty:
        raise InputError(
            f"{spec}: {f'column {wrong[0]} is not numeric' if wrong else 'there is no feature'}; "
            "keep a column file and numeric columns, or one column features of lists"
        )
    return table.to_numpy(dtype=np.float64), names


def _checked(spec: str, raw: NDArray[Any]) -> NDArray[np.float32]:
    """(M, d) float32."""
    if raw.dtype.kind not in "fiu":
        raise InputError(f"{spec} holds {raw.dtype} values; features are real numbers")
    if raw.ndim != 2 or raw.shape[1] == 0:
        raise InputError(
            f"{spec} has shape {raw.shape}; features are (images, d): flatten what is behind"
        )
    with np.errstate(over="ignore"):  # becomes infinite, and is named with its row
        return raw.astype(np.float32)


def _rows(
    spec: str, matrix: NDArray[np.float32], names: NDArray[Any], files: Sequence[str]
) -> NDArray[np.int64]:
    """Row of each image of the dataset."""
    given = [n.decode() if isinstance(n, bytes) else str(n) for n in names.ravel().tolist()]
    if len(given) != len(matrix):
        raise InputError(f"{spec} has {len(matrix)} rows of features and {len(given)} file names")
    place = {name: row for row, name in enumerate(given)}
    if len(place) < len(given):
        twice = next(name for row, name in enumerate(given) if place[name] != row)
        raise InputError(f"{spec} has {twice} twice; keep one row for each image")
    lacking = [file for file in files if file not in place]
    if lacking:
        raise InputError(
            f"{spec} lacks {len(lacking)} of {len(files)} images, such as {lacking[0]}; names are "
            f"relative to the dataset's folder, with forward slashes (it has {given[0]})"
        )
    return np.array([place[file] for file in files])
