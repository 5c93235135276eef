"""Rows of a table -> feature matrix. It takes about a second, so nothing is cached."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from w2s_groups.backbones.table_encoders import COLUMNS, RANDOM_FEATURES, TableEncoder
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST, TableDataset
from w2s_groups.features.extraction import Features

FORMAT = "1"  # a change of what is computed is a new key
ROUNDING = 1e-3  # of a column's standard deviation, that its float32 values may be off
_ROWS = 1 << 14  # rows that random features are computed of at a time

Numbers = dict[str, NDArray[np.float64]]
Codes = dict[str, tuple[NDArray[np.int64], tuple[str, ...]]]


def extract_rows(dataset: TableDataset, encoder: TableEncoder) -> Features:
    """Features of a dataset's N rows.

    "columns": the numbers, with an indicator after those of which some are missing. "onehot": those
    and an indicator of each category. "random_features": max(0, W x / sqrt(k) + b), where x are the
    inputs of "onehot" with numbers standardised, k is the number of columns, and W and b are
    standard normal (Rahimi and Recht 2008; as teacher and student, Medvedev et al., arXiv
    2503.02877).

    Nothing is learnt from a test row: categories that occur in test rows only have no indicator,
    and a missing number is the mean, and numbers are standardised, over the rows that may be drawn.
    Features do not depend on the order of the columns. The key holds the names and values of the
    columns that are read, and which rows may be drawn. Raises InputError for columns that the
    dataset lacks or the encoder can't read, and for numbers that float32 can't tell apart.
    """
    numbers, codes = _read(dataset, encoder)
    drawable = dataset.split != TEST
    key = _key(encoder, numbers, codes, drawable)
    codes = {name: _seen(*column, drawable) for name, column in codes.items()}
    filled = _filled(numbers, drawable)
    if encoder.kind == RANDOM_FEATURES:
        filled = {name: _standard(values, drawable) for name, values in filled.items()}
        scale = np.sqrt(len(numbers) + len(codes))
        matrix = _random(_stacked(filled, codes) / np.float32(scale), encoder)
    else:
        for name, values in filled.items():
            _check_float32(name, values)
        matrix = _stacked(filled, codes)
    matrix.flags.writeable = False
    return Features(matrix, (), key, from_cache=False)


def learns(dataset: TableDataset, encoder: TableEncoder) -> bool:
    """Whether features depend on which rows may be drawn, beyond indicators that are 0 in them."""
    numbers, _ = _read(dataset, encoder)
    return encoder.kind == RANDOM_FEATURES or any(np.isnan(x).any() for x in numbers.values())


def _read(dataset: TableDataset, encoder: TableEncoder) -> tuple[Numbers, Codes]:
    """The columns of an encoder by name, in the order of their names."""
    columns = dataset.columns
    known = sorted((*columns.numeric, *columns.vocabulary))
    for name in encoder.columns:
        if name not in known:
            raise unknown_name(f"{encoder.name}: column", name, known)
        if encoder.kind == COLUMNS and name in columns.vocabulary:
            raise InputError(
                f"{encoder.name} reads numbers, and the column {name} holds names such as "
                f"{columns.vocabulary[name][0]!r}; name it in table/onehot:{name}"
            )
    wanted = encoder.columns or known
    place = {name: k for k, name in enumerate(columns.numeric)}
    numbers = {name: dataset.numbers[:, place[name]] for name in wanted if name in place}
    if encoder.kind == COLUMNS:
        if not numbers:
            raise InputError(
                f"{encoder.name} reads numbers, and data={dataset.name} has no column of numbers; "
                "take table/onehot"
            )
        return numbers, {}
    codes = {
        name: (dataset.categories[:, k], texts)
        for k, (name, texts) in enumerate(columns.vocabulary.items())
    }
    return numbers, {name: codes[name] for name in wanted if name in codes}


def _key(encoder: TableEncoder, numbers: Numbers, codes: Codes, drawable: NDArray[np.bool_]) -> str:
    kind = [encoder.kind, encoder.width, encoder.seed]
    names = [list(numbers), {name: texts for name, (_, texts) in codes.items()}]
    digest = hashlib.sha256(json.dumps([FORMAT, kind, names]).encode())
    for values in (*numbers.values(), *(values for values, _ in codes.values()), drawable):
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:32]


def _seen(
    codes: NDArray[np.int64], texts: tuple[str, ...], drawable: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Codes (N,) of the categories that rows that may be drawn have; -1 for others and none."""
    seen = np.bincount(codes[drawable & (codes >= 0)], minlength=len(texts)) > 0
    renumbered = np.append(np.where(seen, np.cumsum(seen) - 1, -1), -1)
    return renumbered[codes], tuple(text for text, there in zip(texts, seen, strict=True) if there)


def _filled(numbers: Numbers, drawable: NDArray[np.bool_]) -> Numbers:
    """Columns (N,) without missing values; one of indicators follows each that had some."""
    filled: Numbers = {}
    for name, values in numbers.items():
        missing = np.isnan(values)
        known = values[drawable & ~missing]
        mean = known.mean() if known.size else 0.0
        filled[name] = np.where(missing, mean, values)
        if missing.any():
            filled[f"{name} missing"] = missing.astype(np.float64)
    return filled


def _standard(values: NDArray[np.float64], drawable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A column with mean 0 and variance 1 over the rows that may be drawn; a constant one is 0."""
    reference = values[drawable]
    mean, std = reference.mean(), reference.std()
    constant = std <= 1e-12 * np.abs(reference).max(initial=0.0)
    return np.zeros_like(values) if constant else (values - mean) / std


def _check_float32(name: str, values: NDArray[np.float64]) -> None:
    with np.errstate(over="ignore"):  # an infinite value is refused here
        off = np.abs(values.astype(np.float32) - values).max()
    if off > ROUNDING * values.std():
        raise InputError(
            f"column {name}: its values, such as {values[0]:.17g}, differ by less than float32 can "
            "hold; subtract a constant from all of them"
        )


def _stacked(numbers: Numbers, codes: Codes) -> NDArray[np.float32]:
    """(N, d): numbers, then an indicator of each category."""
    n = len([*numbers.values(), *(column for column, _ in codes.values())][0])
    matrix = np.zeros((n, len(numbers) + sum(len(t) for _, t in codes.values())), dtype=np.float32)
    for k, values in enumerate(numbers.values()):
        matrix[:, k] = values
    start = len(numbers)
    for column, texts in codes.values():
        rows = np.flatnonzero(column >= 0)
        matrix[rows, start + column[rows]] = 1
        start += len(texts)
    return matrix


def _random(inputs: NDArray[np.float32], encoder: TableEncoder) -> NDArray[np.float32]:
    """(N, width) random ReLU features of (N, d) inputs. A wider one begins with a narrower one."""
    draws = stream(encoder.seed, "table/random_features")
    weights = draws.normal(size=(encoder.width, inputs.shape[1] + 1)).T.astype(np.float32)
    matrix = np.empty((len(inputs), encoder.width), dtype=np.float32)
    for start in range(0, len(inputs), _ROWS):
        part = slice(start, start + _ROWS)
        np.maximum(inputs[part] @ weights[:-1] + weights[-1], 0, out=matrix[part])
    return matrix
