"""Numeric targets of tables: read to the last bit, refused with their line, cut into classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import config, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import HIDDEN, plain
from w2s_groups.data.base import TableDataset, TextDataset

HEADER = ("note", "price", "kind", "site")
ROWS = (
    ("first", "10.5", "low", "north"),
    ("second", "-3e2", "high", "south"),
    ("third", "140", "low", "north"),
    ("fourth", "0.1", "high", "south"),
    ("fifth", "139.99999999999997", "low", "north"),
)
PRICES = [float(row[1]) for row in ROWS]
OWN: dict[str, Any] = {
    "table": "table.csv", "text_columns": ["note"], "y_column": "kind", "a_column": "site",
    "split_column": None, "pool": "all", "minority": [[0, 1], [1, 1]], "target_column": "price",
}  # fmt: skip
BINNED = {**OWN, "y_column": None, "target_edges": [0.0, 140.0], "minority": [[0, 1]]}


def read(root: Path, rows: Any = ROWS, **settings: Any) -> TextDataset:
    """The rows of a table on disk, in its order."""
    write_rows(root / "table.csv", [HEADER, *rows])
    own = config("metadata_csv", root=str(root), **settings)
    dataset = own.read(root, root, lambda *_: None)
    assert isinstance(dataset, TextDataset)
    return dataset


def test_a_column_of_numbers_is_the_target(tmp_path: Path) -> None:
    dataset = read(tmp_path, **OWN)
    assert dataset.target is not None
    assert dataset.target.tolist() == PRICES
    assert dataset.groups.class_names == ("high", "low")
    assert read(tmp_path, **{**OWN, "target_column": None}).target is None


def test_the_target_follows_its_rows(tmp_path: Path) -> None:
    dataset = read(tmp_path, **OWN)
    for other in (dataset.in_order(), dataset.at(np.array([3, 1])), dataset.only(dataset.y == 0)):
        assert other.target is not None
        of = dict(zip(dataset.texts, PRICES, strict=True))
        assert other.target.tolist() == [of[text] for text in other.texts]
    backwards = read(tmp_path, ROWS[::-1], **OWN).in_order()
    assert_array_equal(backwards.target, dataset.in_order().target)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("n/a", "'n/a'"), ("", "''"), ("inf", "'inf'"), ("nan", "'nan'"), ("3,5", "'3,5'"),
     ("1_000", "'1_000'"), ("12 EUR", "'12 EUR'")],
)  # fmt: skip
def test_what_is_no_finite_number_is_refused_with_its_line(
    tmp_path: Path, text: str, shown: str
) -> None:
    rows = [*ROWS[:2], ("third", text, "low", "north"), *ROWS[3:]]
    with pytest.raises(InputError, match=rf"line 4: price={shown} is not a finite number") as one:
        read(tmp_path, rows, **OWN)
    assert "take the row out" in str(one.value)
    rows[3] = ("fourth", text, "high", "south")
    with pytest.raises(InputError, match=r"line 4 and 1 more: price"):
        read(tmp_path, rows, **OWN)


def test_classes_are_bins_of_the_target_from_edge_to_below_edge(tmp_path: Path) -> None:
    dataset = read(tmp_path, **BINNED)
    assert dataset.groups.class_names == ("below 0", "0 to 140", "140 or more")
    assert_array_equal(dataset.y, [1, 0, 2, 1, 1])
    assert dataset.groups.names[5] == "140 or more-on-south"
    named = read(tmp_path, **BINNED, class_names=["debt", "cheap", "dear"])
    assert named.groups.class_names == ("debt", "cheap", "dear")
    assert_array_equal(named.y, dataset.y)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_column": None, "target_edges": None}, r"y_column=null leaves no classes; name the"),
        ({"target_column": None}, r"target_edges=\[0\.0, 140\.0\] cuts the target .* too"),
        ({"y_column": "kind"}, r"data\.y_column=kind has some; set data\.y_column=null"),
        ({"target_edges": []}, "must list one finite number or more, rising"),
        ({"target_edges": [2.0, 1.0]}, "must list one finite number or more, rising"),
        ({"target_edges": [1.0, 1.0]}, "must list one finite number or more, rising"),
        ({"target_edges": [float("nan")]}, "must list one finite number or more, rising"),
        ({"class_names": ["low", "high"]}, "2 target_edges make 3 classes; name each of them"),
        ({"target_column": "site"}, "target_column and split_column are note, site, site; name"),
        ({"target_column": "cost"}, "lacks the column cost"),
    ],
)
def test_faults(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, **{**BINNED, **changes})


def test_settings_name_a_target_only_where_there_is_one(tmp_path: Path) -> None:
    """So that keys and reports of data without one are those of before."""
    fields = {"target_column", "target_edges"}
    for kind in ("metadata_csv", "huggingface"):
        root = {"root": str(tmp_path)}
        assert not fields & set(plain(config(kind, **root), HIDDEN))
    both = config("metadata_csv", root=str(tmp_path), **BINNED)
    assert fields <= set(plain(both, HIDDEN))


def test_columns_of_a_hugging_face_set(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    columns = dict(zip(HEADER, zip(*ROWS, strict=True), strict=True))
    table = {**columns, "price": PRICES}
    datasets.Dataset.from_dict(table).save_to_disk(str(tmp_path / "saved"))
    own = {name: BINNED[name] for name in BINNED if name not in ("table", "split_column")}
    dataset = config("huggingface", root=str(tmp_path / "saved"), **own).load(tmp_path / "cache")
    assert dataset.target is not None
    assert dataset.target.tolist() == PRICES
    assert_array_equal(dataset.y, [1, 0, 2, 1, 1])
    classes = {**own, "y_column": "kind", "target_edges": None, "minority": [[0, 1]]}
    plainly = config("huggingface", root=str(tmp_path / "saved"), **classes).load(tmp_path)
    assert plainly.groups.class_names == ("high", "low")
    assert_array_equal(plainly.target, dataset.target)
    lacking = {**table, "price": [1.0, None, 2.0, 3.0, 4.0]}
    datasets.Dataset.from_dict(lacking).save_to_disk(str(tmp_path / "holes"))
    with pytest.raises(InputError, match=r"row 1: target='' is not a finite number"):
        config("huggingface", root=str(tmp_path / "holes"), **own).load(tmp_path)


TABLE: dict[str, Any] = {
    "table": "rows.csv", "y_column": "kind", "a_column": "site", "split_column": None,
    "pool": "all", "minority": [[0, 1], [1, 1]], "target_column": "price",
}  # fmt: skip


def table_of(root: Path, **settings: Any) -> TableDataset:
    """The same prices as a table of rows with one more column of numbers."""
    size = (("size",), *((str(k),) for k in range(len(ROWS))))
    rows = [(*a, *b) for a, b in zip((HEADER, *ROWS), size, strict=True)]
    write_rows(root / "rows.csv", rows)
    dataset = config("table", root=str(root), **settings).read(root, root, lambda *_: None)
    assert isinstance(dataset, TableDataset)
    return dataset


def test_the_target_of_a_table_is_no_input(tmp_path: Path) -> None:
    dataset = table_of(tmp_path, **TABLE)
    assert dataset.target is not None
    assert dataset.target.tolist() == PRICES
    assert dataset.columns.numeric == ("size",)
    assert "price" in table_of(tmp_path, **{**TABLE, "target_column": None}).columns.numeric


def test_classes_of_a_table_are_bins_of_its_target(tmp_path: Path) -> None:
    edges = {"y_column": None, "target_edges": [0.0, 140.0], "minority": [[0, 1]]}
    dataset = table_of(tmp_path, **{**TABLE, **edges})
    assert_array_equal(dataset.y, [1, 0, 2, 1, 1])
    assert dataset.groups.class_names == ("below 0", "0 to 140", "140 or more")
    assert "kind" in dataset.columns.vocabulary
    with pytest.raises(InputError, match="target_column is site; name a column once"):
        table_of(tmp_path, **{**TABLE, "target_column": "site"})
