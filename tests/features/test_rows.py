"""Encoders of rows: what they read, that no test row enters them, and what a name may say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from w2s_groups.backbones import get_backbone, get_encoder, get_table_encoder
from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, Columns, TableDataset
from w2s_groups.design.groups import Groups
from w2s_groups.features.extraction import Features
from w2s_groups.features.rows import extract_rows

N = 40
GROUPS = Groups(("no", "yes"), ("left", "right"))
KINDS = ("table/columns", "table/onehot", "table/random_features@16")


def made() -> TableDataset:
    """Two columns of numbers, one with a gap, and two of names; every fourth row is a test row.

    "rare" is a colour of one test row only.
    """
    rng = np.random.default_rng(0)
    split = np.where(np.arange(N) % 4 == 3, TEST, TRAIN)
    numbers = rng.normal((50.0, -3.0), (10.0, 0.1), (N, 2))
    numbers[[4, 7], 1] = np.nan
    names = np.stack([rng.integers(0, 2, N), rng.integers(0, 3, N)], axis=1)
    names[11, 0], names[8, 1] = 2, -1
    columns = Columns(
        ("width", "age"), {"colour": ("blue", "green", "rare"), "shape": ("o", "x", "z")}
    )
    labels: Any = (np.arange(N) % 2, np.arange(N) // 2 % 2, split)
    files = tuple(f"line {k}" for k in range(N))
    return TableDataset(
        "t", *labels, GROUPS, files=files, columns=columns, numbers=numbers, categories=names
    )


def features(dataset: TableDataset, name: str) -> Features:
    return extract_rows(dataset, get_table_encoder(name))


def test_columns_are_the_numbers() -> None:
    dataset = made()
    found = features(dataset, "table/columns:width").matrix
    assert_array_equal(found, dataset.numbers[:, :1].astype(np.float32))
    age, missing, width = features(dataset, "table/columns").matrix.T
    gap = np.isnan(dataset.numbers[:, 1])
    assert_array_equal(width, found[:, 0])
    assert_array_equal(missing, gap)
    assert_array_equal(age[~gap], dataset.numbers[~gap, 1].astype(np.float32))
    pool = dataset.split != TEST
    assert_allclose(age[gap], dataset.numbers[~gap & pool, 1].mean(), rtol=1e-6)


def test_onehot_is_what_pandas_makes_of_the_pools_categories() -> None:
    dataset = made()
    found = features(dataset, "table/onehot:colour+shape").matrix
    frame = pd.DataFrame(
        {
            name: pd.Categorical.from_codes(dataset.categories[:, k], list(texts))
            for k, (name, texts) in enumerate(dataset.columns.vocabulary.items())
        }
    )
    assert_array_equal(found, pd.get_dummies(frame).drop(columns="colour_rare"))
    assert found[11, :2].sum() == 0  # its colour is in no row of the pool
    assert found[8, 2:].sum() == 0  # its shape is missing
    whole = features(dataset, "table/onehot").matrix
    assert_array_equal(whole[:, :3], features(dataset, "table/columns").matrix)
    assert_array_equal(whole[:, 3:], found)


def test_random_features_are_what_they_are_called() -> None:
    dataset = made()
    numbers = features(dataset, "table/columns").matrix.astype(np.float64)
    pool = numbers[dataset.split != TEST]
    onehot = features(dataset, "table/onehot:colour+shape").matrix
    inputs = np.hstack([(numbers - pool.mean(0)) / pool.std(0), onehot]) / np.sqrt(2 + 2)
    few = features(dataset, "table/random_features@16").matrix
    more = features(dataset, "table/random_features@1024").matrix
    assert (few >= 0).all()
    assert_allclose(more[:, :16], few, atol=1e-6)  # a wider set begins with the narrower one
    # A ReLU of an affine map of the inputs: linear in them where no row is cut off.
    design = np.hstack([inputs, np.ones((N, 1))])
    uncut = more[:, (more > 0).all(axis=0)]
    assert uncut.shape[1] > 10
    answer = np.linalg.lstsq(design, uncut)[0]
    assert_allclose(design @ answer, uncut, atol=1e-5)
    other = features(dataset, "table/random_features@16:1").matrix
    assert not np.isclose(other, few).all()
    assert_array_equal(few, features(dataset, "table/random_features@16:0").matrix)


@pytest.mark.parametrize("name", KINDS)
def test_no_test_row_enters_the_features_of_another(name: str) -> None:
    dataset = made()
    before = features(dataset, name)
    numbers, names = dataset.numbers.copy(), dataset.categories.copy()
    rows = np.flatnonzero(dataset.split == TEST)
    numbers[rows], names[rows] = 1e4 + rows[:, None], 0
    changed = replace(dataset, numbers=numbers, categories=names)
    after = features(changed, name)
    pool = dataset.split != TEST
    assert_array_equal(after.matrix[pool], before.matrix[pool])
    assert not np.array_equal(after.matrix, before.matrix)
    assert after.key != before.key


@pytest.mark.parametrize("name", KINDS)
def test_columns_may_stand_in_any_order(name: str) -> None:
    dataset = made()
    vocabulary = dict(reversed(dataset.columns.vocabulary.items()))
    other = replace(
        dataset,
        columns=Columns(("age", "width"), vocabulary),
        numbers=dataset.numbers[:, ::-1],
        categories=dataset.categories[:, ::-1],
    )
    given, turned = features(dataset, name), features(other, name)
    assert_array_equal(turned.matrix, given.matrix)
    assert turned.key == given.key


def test_the_key_is_of_the_columns_that_are_read() -> None:
    dataset = made()
    numbers = dataset.numbers.copy()
    numbers[:, 1] += 1
    other = replace(dataset, numbers=numbers)
    for name in ("table/columns:width", "table/onehot:width+colour"):
        assert features(other, name).key == features(dataset, name).key
    names = [*KINDS, "table/columns:width", "table/random_features@16:1"]
    assert len({features(dataset, name).key for name in names}) == len(names)
    assert features(other, KINDS[0]).key != features(dataset, KINDS[0]).key
    split = replace(dataset, split=np.roll(dataset.split, 1))
    assert features(split, KINDS[2]).key != features(dataset, KINDS[2]).key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table/columns:colour", "reads numbers, and the column colour holds names such as 'blue'"),
        ("table/onehot:colr", r"table/onehot:colr: column='colr' is unknown: did you mean 'colour"),
        ("table/onehot:", "must name each column once, with \\+ between them"),
        ("table/onehot:age+age", "must name each column once"),
        ("table/onehot@3", "has a width, which only table/random_features has; take @3 away"),
        ("table/random_features", "must end in a number of features, 1 to 65536"),
        ("table/random_features@0", "must end in a number of features"),
        ("table/random_features@70000", "must end in a number of features"),
        ("table/random_features@16:x", "must end in a number of features"),
        ("table/onehott", "table encoder='table/onehott' is unknown: did you mean 'table/onehot"),
        ("packaged/squeezenet1_1", "reads images or texts and the data set holds rows of a table"),
        ("onehot", "table encoder='onehot' is unknown"),
    ],
)
def test_names_that_do_not_fit(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        features(made(), name)


def test_numbers_that_float32_cannot_tell_apart() -> None:
    dataset = made()
    numbers = dataset.numbers.copy()
    numbers[:, 0] += 1e10
    with pytest.raises(InputError, match=r"column width: its values, .* subtract a constant"):
        features(replace(dataset, numbers=numbers), "table/onehot")
    assert np.isfinite(features(replace(dataset, numbers=numbers), KINDS[2]).matrix).all()
    only = replace(dataset, columns=Columns((), dataset.columns.vocabulary),
                   numbers=np.empty((N, 0)))  # fmt: skip
    with pytest.raises(InputError, match="has no column of numbers; take table/onehot"):
        features(only, "table/columns")
    assert features(only, "table/onehot").matrix.shape == (N, 5)


def test_tables_are_for_tables() -> None:
    with pytest.raises(InputError, match="reads rows of tables and the data set holds images"):
        get_backbone("table/onehot")
    with pytest.raises(InputError, match="reads rows of tables and the data set holds texts"):
        get_encoder("table/onehot")


def test_constant_columns_are_no_input_of_random_features(tmp_path: Path) -> None:
    dataset = made()
    numbers = dataset.numbers.copy()
    numbers[:, 1] = 7.0
    found = features(replace(dataset, numbers=numbers), KINDS[2]).matrix
    assert np.isfinite(found).all()
    assert found.std(axis=0).max() > 0
