"""Tables with columns, codings and splits of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import SMALL, config, derived, touch, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError


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
    with pytest.raises(InputError, match=r"no official split; set data\.pool=all, or .*=unsplit"):
        config("metadata_csv", **own).load(tmp_path)
    for pool in ("all", "unsplit"):
        dataset = config("metadata_csv", **own, pool=pool).load(tmp_path)
        assert_array_equal(dataset.split, [0] * 4)  # every group has one image


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "none.csv"}, r"data\.table=.*none\.csv does not exist"),
        ({"y_column": "Animal"}, "lacks the column Animal; its columns are picture, animal"),
        ({"y_column": "scenery"}, "name a column once"),
        ({"class_names": ["owl", "fox"]}, r"line 4: animal='bear' is outside the coding 0\.\.1"),
        ({"minority": []}, None),
        (
            {"y_column": "picture", "file_column": "animal"},
            "line 5: fox is listed already in line 3",
        ),
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


MARKS = ("NA", "N/A", "na", "nan", "NaN", "<NA>", "null", "None", "none", "-", "--", "?", "missing")


@pytest.mark.parametrize("mark", [*MARKS, "unknown", "#N/A", "n.a.", "(none)", "\u2014", "-1"])
@pytest.mark.parametrize("column", [1, 2])
def test_a_missing_label_is_refused_with_its_line(tmp_path: Path, mark: str, column: int) -> None:
    rows = [list(row) for row in (*ROWS, *((f"{k}.png", "owl", "snow", "0") for k in range(3)))]
    rows[2][column] = rows[5][column] = mark
    for row in rows:
        touch(tmp_path / row[0])
    write_rows(tmp_path / "table.txt", [HEADER, *rows])
    own = {"root": str(tmp_path), **OWN}
    with pytest.raises(InputError, match=r"line 4 and 1 more: \w+='.*' reads as a missing label"):
        config("metadata_csv", **own).load(tmp_path)
    if mark == "-1":
        return  # a whole number among names could not be told from a code
    field = ("class_names", "attribute_names")[column - 1]
    names = sorted({row[column] for row in rows})
    dataset = config("metadata_csv", **own, **{field: names}).load(tmp_path)
    codes = (dataset.y, dataset.a)[column - 1]
    assert [names[code] for code in codes] == [row[column] for row in rows]


@pytest.mark.parametrize("mark", ["", "  ", "\u00a0"])
def test_an_empty_label(tmp_path: Path, mark: str) -> None:
    rows = [ROWS[0], (ROWS[1][0], mark, *ROWS[1][2:]), *ROWS[2:]]
    with pytest.raises(InputError, match="line 3: animal is empty; fill it in"):
        config("metadata_csv", root=str(_write(tmp_path, rows)), **OWN).load(tmp_path)


@pytest.mark.parametrize(
    "labels",
    [("1.00", "1.0", "0.0", "0.0"), ("cat", "Cat", "dog", "dog"), ("a b", "a  b", "c", "c")],
)
def test_one_label_in_two_spellings(tmp_path: Path, labels: tuple[str, ...]) -> None:
    rows = [(row[0], y, *row[2:]) for row, y in zip(ROWS, labels, strict=True)]
    own = config("metadata_csv", root=str(_write(tmp_path, rows)), **OWN)
    with pytest.raises(InputError, match=r"line \d: animal=.* read as one label in two spellings"):
        own.load(tmp_path)


@pytest.mark.parametrize("names", [["0", "cat"], ["cat", "7"]])
def test_numbers_among_names_may_be_codes(tmp_path: Path, names: list[str]) -> None:
    rows = [(row[0], names[k % 2], *row[2:]) for k, row in enumerate(ROWS)]
    own = {"root": str(_write(tmp_path, rows)), **OWN}
    with pytest.raises(InputError, match=r"animal='cat' is a name, and others are numbers such as"):
        config("metadata_csv", **own).load(tmp_path)
    assert_array_equal(
        config("metadata_csv", **own, class_names=names).load(tmp_path).y, [0, 1] * 2
    )


def test_a_code_below_0_is_a_class_where_nothing_speaks_against_it(tmp_path: Path) -> None:
    for labels, right in ((("-1", "1", "1", "-1"), True), (("0", "1", "2", "-1"), False)):
        rows = [(row[0], y, *row[2:]) for row, y in zip(ROWS, labels, strict=True)]
        own = config("metadata_csv", root=str(_write(tmp_path, rows)), **OWN)
        if right:
            assert own.load(tmp_path).groups.class_names == ("y-1", "y1")
        else:
            with pytest.raises(InputError, match="line 5: animal='-1' reads as a missing label"):
                own.load(tmp_path)


@pytest.mark.parametrize("mark", [";", "|", "\t", ","])
def test_the_separator_is_found_by_the_header_or_set(tmp_path: Path, mark: str) -> None:
    root = _write(tmp_path)
    write_rows(
        root / "table.txt", [("note, or not", *HEADER), *(("x", *row) for row in ROWS)], mark
    )
    own = {"root": str(root), **OWN}
    dataset = config("metadata_csv", **own).load(tmp_path)
    assert dataset.groups.attribute_names == ("desert", "forest, dense", "snow")
    names = {"\t": "tab", ";": "semicolon", ",": "comma"}
    again = config("metadata_csv", **own, separator=names.get(mark, mark)).load(tmp_path)
    assert_array_equal(again.codes, dataset.codes)


def test_separators_are_named_in_what_is_refused(tmp_path: Path) -> None:
    root = _write(tmp_path)
    write_rows(root / "table.txt", [HEADER, *ROWS], "^")
    own = {"root": str(root), **OWN}
    with pytest.raises(InputError, match=r"separated by commas; set data\.separator where another"):
        config("metadata_csv", **own).load(tmp_path)
    assert config("metadata_csv", **own, separator="^").load(tmp_path).groups.n_groups == 9
    with pytest.raises(InputError, match=r"data\.separator='::' must be one character"):
        config("metadata_csv", **own, separator="::").load(tmp_path)


def test_a_column_that_holds_no_files_is_named(tmp_path: Path) -> None:
    own = {"root": str(_write(tmp_path)), **OWN, "file_column": "animal", "y_column": "picture"}
    with pytest.raises(InputError, match=r"fox is listed already in line 3 \(column animal\)"):
        config("metadata_csv", **own).load(tmp_path)
