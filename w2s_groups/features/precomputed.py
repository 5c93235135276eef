"""Features that someone has computed already: a matrix in a .npy, .npz, .pt or .parquet file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core import mapped
from w2s_groups.core.errors import InputError
from w2s_groups.features.extraction import Features, listed_or_stopped
from w2s_groups.features.feature_files import READERS, Content

PREFIX = "file/"

log = logging.getLogger("w2s_groups")


def is_features(spec: str) -> bool:
    """Whether `spec` names a file of features rather than a network."""
    return spec.startswith(PREFIX)


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
    (`listed`, as in Listed), which the log says. Names that are not the dataset's, numbers of rows
    and labels are refused, as they cannot be distinguished from features. A row that is not finite
    counts as a bad image. Raises InputError for anything that doesn't fit.
    """
    path, content = _content(spec, files)
    matrix = _checked(spec, content.matrix, noun)
    if content.texts:
        matrix = matrix[_by_name(spec, matrix, content.texts, files, noun)]
    else:
        matrix = _by_place(spec, matrix, content.numbers, len(files), noun)
        matrix = matrix if listed is None else _in_order(matrix, listed)
    digest, finite = hashlib.sha256(repr(matrix.shape).encode()), []
    for part in mapped.parts(matrix):
        digest.update(part.data)
        finite.append(np.isfinite(part).all(axis=1))
    not_finite = np.flatnonzero(~np.concatenate(finite))
    bad = {int(row): f"features of {path.name} are not finite" for row in not_finite}
    if bad:
        matrix = np.array(matrix[:])
        matrix[list(bad)] = np.nan
    if isinstance(matrix, np.ndarray):
        matrix.flags.writeable = False
    result = listed_or_stopped(spec, files, bad, on_bad_image, noun)
    return Features(matrix, result, digest.hexdigest()[:32], from_cache=True)


def _in_order(matrix: NDArray[np.float32], listed: NDArray[np.int64]) -> Any:
    """Rows of a matrix (N, d) in another order; those of a memory map are read when asked for."""
    if isinstance(matrix, np.memmap):
        return matrix if (np.diff(listed) == 1).all() else mapped.Stored(matrix, listed)
    return matrix[listed]


def _content(spec: str, files: Sequence[str]) -> tuple[Path, Content]:
    """The path of a file of features, and what it holds."""
    path = Path(spec.removeprefix(PREFIX))
    if path.suffix not in READERS:
        raise InputError(f"{spec} must end in {', '.join(READERS)}; save the features as one")
    if not path.is_file():
        raise InputError(
            f"{spec} names a file that is missing, {path.absolute()}; correct the path"
        )
    try:
        return path, READERS[path.suffix](spec, path, files)
    except InputError:
        raise
    except Exception as error:  # numpy, zip, torch and pyarrow each have their own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{spec} can't be read ({reason}); write it again") from error


def _checked(spec: str, raw: NDArray[Any], noun: str) -> NDArray[np.float32]:
    """(M, d) float32."""
    if raw.dtype.kind not in "fiu":
        raise InputError(f"{spec} holds {raw.dtype} values; features are real numbers")
    if raw.ndim != 2 or raw.shape[1] == 0:
        raise InputError(
            f"{spec} has shape {raw.shape}; features are ({noun}s, d): flatten what is behind"
        )
    with np.errstate(over="ignore"):  # becomes infinite, and is named with its row
        return raw if _mapped(raw) else np.asarray(raw).astype(np.float32)


def _mapped(raw: NDArray[Any]) -> bool:
    """Whether a matrix can be read from its file as it is: float32, row after row."""
    plain = raw.dtype == np.float32 and raw.flags.c_contiguous
    return isinstance(raw, np.memmap) and bool(plain)


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
