"""Tables with columns, codings and splits of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import SMALL, config, derived, touch, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.errors import InputError


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_the_derived_table(tmp_path: Path, delimiter: str) -> None:
    derived(tmp_path, delimiter=delimiter)
    dataset = config("metadata_csv", root=str(tmp_path)).load(tmp_path)
    counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
    assert_array_equal(counts, SMALL)
    assert dataset.groups.names[2] == "y1-on-a0"


HEADER = ("picture", "animal", "scenery", "part")
ROWS = (
    ("a.png", "owl", "snow", "train"),
    ("b.png", "fox", "desert", "validation"),
    ("c.png", "bear", "forest, dense", "test"),
    ("d.png", "fox", "snow", "2"),
)
OWN = {
    "table": "table.txt", "file_column": "picture", "y_column": "animal", "a_column": "scenery",
    "split_column": "part", "minority": [[1, 0]],
}  # fmt: skip


def _write(root: Path, rows: Any = ROWS, header: Any = HEADER) -> Path:
    for row in ROWS:
        touch(root / row[0])
    write_rows(root / "table.txt", [header, *rows])
    return root


def test_names_of_columns_and_values_are_free(tmp_path: Path) -> None:
    own = {"root": str(_write(tmp_path)), **OWN}
    dataset = config("metadata_csv", **own).load(tmp_path)
    assert dataset.groups.class_names == ("bear", "fox", "owl")
    assert dataset.groups.attribute_names == ("desert", "forest, dense", "snow")
    assert_array_equal(dataset.codes, [8, 3, 1, 5])
    assert_array_equal(dataset.split, [0, 1, 2, 2])
    dataset = config("metadata_csv", **own, class_names=["owl", "fox", "bear", "elk"]).load(
        tmp_path
    )
    assert_array_equal(dataset.y, [0, 1, 2, 1])
    assert dataset.groups.n_groups == 12
    absolute = {**own, "table": str(tmp_path / "table.txt")}
    assert config("metadata_csv", **absolute).load(tmp_path).files == dataset.files


def test_no_split_column(tmp_path: Path) -> None:
    own = {"root": str(_write(tmp_path)), **OWN, "split_column": None}
    with pytest.raises(InputError, match=r"leaves no official split; set data\.pool=all"):
        config("metadata_csv", **own).load(tmp_path)
    dataset = config("metadata_csv", **own, pool="all").load(tmp_path)
    assert_array_equal(dataset.split, [0] * 4)  # every group has one image


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "none.csv"}, r"data\.table=.*none\.csv does not exist"),
        ({"y_column": "Animal"}, "lacks the column Animal; its columns are picture, animal"),
        ({"y_column": "scenery"}, "name a column once"),
        ({"class_names": ["owl", "fox"]}, r"line 4: animal='bear' is outside the coding 0\.\.1"),
        ({"minority": []}, None),
        ({"y_column": "picture", "file_column": "animal"}, "owl|line 5: fox is listed already"),
    ],
)
def test_faults(tmp_path: Path, changes: dict[str, Any], message: str | None) -> None:
    own = config("metadata_csv", **{"root": str(_write(tmp_path)), **OWN, **changes})
    if message is None:
        assert own.load(tmp_path).groups.minority == {
            (y, a) for y in range(3) for a in range(3) if y != a
        }
        return
    with pytest.raises(InputError, match=message):
        own.load(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("0", "0", "0", "0"), None),
        (("0", "1", "5", "0"), None),
        (("0", "1", "99999999999999999999", "0"), None),
        (("x", "x", "x", "x"), "from 'x' to 'x', and 2 to 1000 classes"),
        (("0", "-1", "x", "1"), "line 3: animal='-1' reads as a missing label; give each class"),
        (("1", "-1", "10", "9"), None),
        (("0", "1", "1000", "1"), None),
        (("7", "", "8", "7"), "line 3: animal is empty"),
    ],
)
def test_codings_taken_from_the_column(
    tmp_path: Path, labels: tuple[str, ...], message: str | None
) -> None:
    rows = [(row[0], y, *row[2:]) for row, y in zip(ROWS, labels, strict=True)]
    own = config("metadata_csv", root=str(_write(tmp_path, rows)), **OWN)
    if message:
        with pytest.raises(InputError, match=message):
            own.load(tmp_path)
        return
    dataset = own.load(tmp_path)
    names = [dataset.groups.class_names[y].removeprefix("y") for y in dataset.y]
    assert tuple(names) == labels
