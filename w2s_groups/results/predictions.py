"""Predictions that were made elsewhere: one class for each test sample of each cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.lazy import arrow_csv as pa_csv
from w2s_groups.core.lazy import compute as pc
from w2s_groups.core.lazy import parquet as pq
from w2s_groups.core.lazy import pyarrow as pa
from w2s_groups.core.text import count

Ints = NDArray[np.int64]
KINDS = (".parquet", ".csv", ".csv.gz")
PREFIX = "p_"  # before the name of a class, its column of probabilities
SUM = 1e-3  # by which probabilities may miss 1: those of float16 do
_INDEX = re.compile(r"__index_level_\d+__|Unnamed: 0|")  # what pandas writes for an index


class Wanted(NamedTuple):
    """What has to be predicted. cells: keys; ids: (N,) names; test: sorted rows of each cell."""

    cells: Sequence[str]
    ids: Sequence[str]
    test: Sequence[Ints]
    classes: Sequence[str]
    noun: str


def read(path: Path, wanted: Wanted) -> list[Ints]:
    """The class codes of each cell's test rows, in their order.

    Columns `cell`, `id` and either `prediction`, a class by name or by code, or p_<class> for every
    class, of which the largest is taken, the first of equal ones. InputError in a sentence for a
    sample that is missing, given twice or not of the cell's test set, and for values that are no
    class.
    """
    table = _loaded(path)
    probabilities = [PREFIX + name for name in wanted.classes]
    given = _check_columns(path, table.column_names, probabilities)
    if not table.num_rows:
        raise InputError(f"{path} holds no prediction; write one row for each cell and test sample")
    n = len(wanted.ids)
    cell = _positions(path, table["cell"], "cell", wanted.cells, "not a cell of these draws")
    row = _positions(path, table["id"], "id", wanted.ids, f"not the name of any {wanted.noun}")
    expected = np.concatenate([k * n + rows for k, rows in enumerate(wanted.test)])
    at = _places(path, cell * n + row, expected, wanted)
    if given == ["prediction"]:
        codes = _classes(path, table["prediction"], wanted.classes)
    else:
        codes = _largest(path, table, probabilities)
    ordered = np.empty(len(expected), dtype=np.int64)
    ordered[at] = codes
    return np.split(ordered, np.cumsum([len(rows) for rows in wanted.test])[:-1])


def _loaded(path: Path) -> pa.Table:
    if not path.name.endswith(KINDS):
        raise InputError(f"{path} must end in {', '.join(KINDS)}; save the predictions as one")
    if not path.is_file():
        raise InputError(f"{path} is not a file; correct the path of the predictions")
    texts = dict.fromkeys(("cell", "id", "prediction"), pa.string())
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
        else:
            table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=texts))
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read ({reason}); write it again") from error
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} has two columns {twice!r}; write one of them")
    return table.drop_columns([name for name in names if _INDEX.fullmatch(name)])


def _check_columns(path: Path, names: Sequence[str], probabilities: Sequence[str]) -> list[str]:
    """["prediction"], or the columns of probabilities."""
    known = ["cell", "id", "prediction", *probabilities]
    for name in names:
        if name not in known:
            raise unknown_name(f"{path}: column", name, known)
    both = "prediction" in names and any(name in names for name in probabilities)
    asked = ["prediction"] if not set(probabilities) & set(names) else list(probabilities)
    lacking = [name for name in ("cell", "id", *asked) if name not in names]
    if both or lacking:
        what = "has prediction and probabilities" if both else f"lacks {', '.join(lacking)}"
        raise InputError(
            f"{path} {what}; its columns are cell, id and either prediction or "
            f"{', '.join(probabilities)}"
        )
    return asked


def _texts(path: Path, column: pa.ChunkedArray, name: str) -> pa.Array:
    """A column of texts or whole numbers as texts; InputError for other types and for nulls."""
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not (_is_text(values.type) or pa.types.is_integer(values.type)):
        raise InputError(f"{path}: {name} holds {values.type} values; write texts")
    if values.null_count:
        raise InputError(f"{path}, row {_first(values.is_null())}: {name} is empty; fill it")
    return values.cast(pa.string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _positions(
    path: Path, column: pa.ChunkedArray, name: str, known: Sequence[str], what: str
) -> Ints:
    """Position of each text among the known ones."""
    texts = _texts(path, column, name)
    found = pc.index_in(texts, value_set=pa.array(list(known), pa.string()))
    if found.null_count:
        bad = _first(found.is_null())
        raise InputError(
            f"{path}, row {bad}: {name}={texts[bad - 1].as_py()!r} is {what}; take it from the "
            "exported draws as it stands there"
        )
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _places(path: Path, given: Ints, expected: Ints, wanted: Wanted) -> Ints:
    """Where each row stands among the expected samples, which are sorted."""
    n = len(wanted.ids)

    def named(code: int) -> str:
        return f"{wanted.ids[code % n]!r} of cell {wanted.cells[code // n]}"

    at = np.minimum(np.searchsorted(expected, given), len(expected) - 1)
    wrong = expected[at] != given
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{path}, row {row + 1}: {named(int(given[row]))} is not a test sample; predict the "
            "samples whose set is test, and no others"
        )
    times = np.bincount(at, minlength=len(expected))
    if (times > 1).any():
        twice = int(np.argmax(times[at] > 1))
        row = int(np.flatnonzero(at == at[twice])[1])
        raise InputError(
            f"{path}, row {row + 1}: {named(int(given[row]))} is predicted twice; keep one row"
        )
    if (times == 0).any():
        lost = np.flatnonzero(times == 0)
        raise InputError(
            f"{path} lacks {count(len(lost), 'prediction')} of {len(expected)}, such as "
            f"{named(int(expected[lost[0]]))}; predict every test {wanted.noun} of every cell"
        )
    return np.asarray(at, dtype=np.int64)


def _classes(path: Path, column: pa.ChunkedArray, classes: Sequence[str]) -> Ints:
    """Codes of classes that are given by name or by code, all in one of the two ways."""
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.null_count:
        raise InputError(f"{path}, row {_first(values.is_null())}: prediction is empty; fill it")
    if _is_text(values.type):
        return _named(path, values, classes)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise InputError(
            f"{path}: prediction holds {values.type} values; write the names of classes, or their "
            f"codes: {_coding(classes)}"
        )
    if _ambiguous(classes):
        raise InputError(
            f"{path}: prediction holds numbers, and the classes have numbers as names that are not "
            f"their codes ({_coding(classes)}); write the names as texts"
        )
    return _coded(path, values.to_numpy(zero_copy_only=False).astype(np.float64), classes)


def _named(path: Path, values: pa.Array, classes: Sequence[str]) -> Ints:
    """Codes of texts: names of classes, or codes where no text is a name."""
    found = pc.index_in(values, value_set=pa.array(list(classes), values.type))
    if not found.null_count:
        return np.asarray(found.to_numpy(), dtype=np.int64)
    empty = pc.equal(values, "")
    if pc.any(empty).as_py():
        raise InputError(f"{path}, row {_first(empty)}: prediction is empty; fill it")
    row = _first(found.is_null())
    text = values[row - 1].as_py()
    if found.null_count < len(found):
        mixed = " mixes names and codes;" if re.fullmatch(r"\s*-?\d+(\.0*)?\s*", text) else ""
        raise InputError(
            f"{path}, row {row}: prediction={text!r}{mixed} is outside the coding: "
            f"{_coding(classes)}; correct it"
        )
    numbers = pc.match_substring_regex(values, r"^\s*-?\d+(\.0*)?\s*$")
    if not pc.all(numbers).as_py():
        row = _first(pc.invert(numbers))
        raise InputError(
            f"{path}, row {row}: prediction={values[row - 1].as_py()!r} is outside the coding: "
            f"{_coding(classes)}; correct it"
        )
    as_numbers = pc.utf8_trim_whitespace(values).cast(pa.float64())
    return _coded(path, as_numbers.to_numpy(), classes)


def _coded(path: Path, values: NDArray[np.float64], classes: Sequence[str]) -> Ints:
    """Whole numbers as codes; those of a column of floats, such as 1.0, too."""
    fits = np.isin(values, np.arange(len(classes)))
    if not fits.all():
        row = int(np.argmin(fits))
        raise InputError(
            f"{path}, row {row + 1}: prediction={values[row]:g} is outside the coding: "
            f"{_coding(classes)}; correct it"
        )
    return np.asarray(values, dtype=np.int64)


def _largest(path: Path, table: pa.Table, names: Sequence[str]) -> Ints:
    """The class with the largest probability of each row."""
    columns = []
    for name in names:
        kind = table[name].type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise InputError(f"{path}: {name} holds {kind} values; write probabilities")
        columns.append(table[name].to_numpy().astype(np.float64))
    p = np.stack(columns, axis=1)
    good = np.isfinite(p).all(axis=1) & (p >= 0).all(axis=1)
    good &= np.abs(p.sum(axis=1) - 1) <= SUM
    if not good.all():
        row = int(np.argmin(good))
        shown = ", ".join(f"{name}={value:g}" for name, value in zip(names, p[row], strict=True))
        raise InputError(
            f"{path}, row {row + 1}: {shown} are not probabilities that sum to 1; correct them"
        )
    return np.asarray(p.argmax(axis=1), dtype=np.int64)


def _coding(classes: Sequence[str]) -> str:
    return ", ".join(f"{name} ({code})" for code, name in enumerate(classes))


def _ambiguous(classes: Sequence[str]) -> bool:
    """Whether a class has a number as its name that is not its code."""
    return any(name.strip().isdigit() and int(name) != k for k, name in enumerate(classes))


def _first(mask: pa.Array) -> int:
    """Number of the first row that is true, from 1."""
    return int(np.argmax(mask.to_numpy(zero_copy_only=False))) + 1
