"""Predictions from files: what is read the same in every form, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.results.predictions import Wanted, read

IDS = ("a/0.png", "a/1.png", "007", "3", "4")
WANTED = Wanted(
    ("draw-x", "draw-y"), IDS, (np.array([0, 2, 4]), np.array([1, 3])), ("cat", "dog"), "image"
)
TRUTH = [np.array([0, 1, 1]), np.array([1, 0])]


def table(prediction: Any = ("cat", "dog", "dog", "dog", "cat")) -> pd.DataFrame:
    ids = ["a/0.png", "007", "4", "a/1.png", "3"]
    cells = ["draw-x"] * 3 + ["draw-y"] * 2
    return pd.DataFrame({"cell": cells, "id": ids, "prediction": list(prediction)})


def saved(folder: Path, content: pd.DataFrame, name: str = "p.parquet", **how: Any) -> Path:
    path = folder / name
    if name.endswith("parquet"):
        content.to_parquet(path, **how)
    else:
        content.to_csv(path, **{"index": False, **how})
    return path


def probabilities(p: Any, dtype: str = "float64") -> pd.DataFrame:
    frame = table().drop(columns="prediction")
    return frame.assign(**{"p_dog": np.asarray(p, dtype), "p_cat": 1 - np.asarray(p, dtype)})


SAME = {
    "names": table(),
    "codes": table([0, 1, 1, 1, 0]),
    "unsigned codes": table(np.array([0, 1, 1, 1, 0], np.uint8)),
    "whole floats": table([0.0, 1.0, 1.0, 1.0, 0.0]),
    "codes as texts": table(["0", "1", "1.0", " 1", "0"]),
    "categories": table().astype({"cell": "category", "id": "category", "prediction": "category"}),
    "arrow texts": table().astype("string[pyarrow]"),
    "other orders": table().iloc[[3, 1, 4, 0, 2]][["prediction", "id", "cell"]],
    "index of keys": table().set_index(["cell", "id"]),
    "odd index": table().set_index(np.array([5, 5, 5, 1, 2])),
    "probabilities": probabilities([0.2, 0.9, 0.6, 0.51, 0.0]),
    "half precision": probabilities([0.2, 0.9, 0.6, 0.51, 0.0], "float16"),
    "ties to the first": probabilities([0.5, 0.9, 0.6, 0.51, 0.0]),
}


@pytest.mark.parametrize("name", list(SAME))
@pytest.mark.parametrize("kind", ["p.parquet", "p.csv", "p.csv.gz"])
def test_every_form_gives_the_same_classes(tmp_path: Path, name: str, kind: str) -> None:
    keyed = name == "index of keys"
    how = {"index": True} if keyed and kind != "p.parquet" else {}
    found = read(saved(tmp_path, SAME[name], kind, **how), WANTED)
    for mine, true in zip(found, TRUTH, strict=True):
        np.testing.assert_array_equal(mine, true)


@pytest.mark.parametrize("index", [True, False])
def test_a_mark_of_utf8_and_an_index_column_are_passed_over(tmp_path: Path, index: bool) -> None:
    path = saved(tmp_path, table(), "p.csv", index=index, encoding="utf-8-sig")
    np.testing.assert_array_equal(read(path, WANTED)[0], TRUTH[0])


def test_names_that_are_numbers_are_read_as_names(tmp_path: Path) -> None:
    wanted = WANTED._replace(classes=("4", "1"))
    content = table(["4", "1", "1", "1", "4"])
    for kind in ("p.parquet", "p.csv"):
        np.testing.assert_array_equal(read(saved(tmp_path, content, kind), wanted)[0], TRUTH[0])
    numbers = content.astype({"prediction": int})
    with pytest.raises(InputError, match="write the names as texts"):
        read(saved(tmp_path, numbers), wanted)


def changed(row: int, **values: Any) -> pd.DataFrame:
    content = table()
    for name, value in values.items():
        content.loc[row, name] = value
    return content


REFUSED = {
    "missing": (table().iloc[:-1], "lacks 1 prediction of 5, such as '3' of cell draw-y"),
    "one cell only": (table().iloc[:3], "lacks 2 predictions of 5"),
    "twice": (pd.concat([table(), table().iloc[[1]]]), "row 6: '007' of cell draw-x .* twice"),
    "no test sample": (changed(3, id="007"), "row 4: '007' of cell draw-y is not a test sample"),
    "unknown id": (
        changed(1, id="7"),
        "row 2: id='7' is not the name of any image",
    ),
    "unknown cell": (changed(1, cell="draw-z"), "row 2: cell='draw-z' is not a cell"),
    "other class": (changed(2, prediction="fox"), r"row 3: .*'fox' is outside .*: cat \(0\)"),
    "mixed": (changed(2, prediction="1"), "row 3: prediction='1' mixes names and codes"),
    "code": (table([0, 1, 2, 1, 0]), "row 3: prediction=2 is outside the coding"),
    "negative": (table([0, 1, -1, 1, 0]), "row 3: prediction=-1 is outside"),
    "half": (table([0, 1, 0.5, 1, 0]), "row 3: prediction='?0.5'? is outside"),
    "nan": (table([0, 1, np.nan, 1, 0]), "row 3: prediction (is empty; fill it|=nan)"),
    "empty name": (changed(0, prediction=""), "row 1: prediction is empty; fill it"),
    "bool": (table([False, True, True, True, False]), "(holds bool values|'False' is outside)"),
    "other column": (table().rename(columns={"prediction": "predictions"}), "mean 'prediction'"),
    "no id": (table().drop(columns="id"), "lacks id; its columns are"),
    "both": (table().assign(p_cat=0.5, p_dog=0.5), "has prediction and probabilities"),
    "one probability": (probabilities([0.1] * 5).drop(columns="p_dog"), "lacks p_dog"),
    "sum": (probabilities([0.1] * 5).assign(p_cat=0.1), "row 1: .* are not probabilities"),
    "below 0": (probabilities([-0.1] * 5), "row 1: .* are not probabilities"),
    "nan p": (probabilities([0.1, np.nan, 0.2, 0, 1]), "row 2: .* are not probabilities"),
    "no row": (table().iloc[:0], "holds no prediction"),
}


@pytest.mark.parametrize("name", list(REFUSED))
@pytest.mark.parametrize("kind", ["p.parquet", "p.csv"])
def test_what_is_not_a_whole_set_of_predictions_is_refused(
    tmp_path: Path, name: str, kind: str
) -> None:
    content, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as refused:
        read(saved(tmp_path, content, kind, index=False), WANTED)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.xlsx", b"x", "must end in .parquet, .csv, .csv.gz"),
        ("none.csv", None, "is not a file"),
        ("p.parquet", b"", "cannot be read"),
        ("p.csv", b"", "cannot be read"),
        ("p.csv", b"cell,id,prediction\ndraw-x,a\n", "cannot be read"),
        ("p.csv", b"\xff\xfe\x00c", "cannot be read"),
        ("p.csv.gz", gzip.compress(b"cell,id,prediction\n" * 9, mtime=0)[:-9], "cannot be read"),
        ("p.csv", b"cell,cell,id,prediction\nx,x,y,z\n", "two columns 'cell'"),
    ],
)
def test_files_that_are_not_whole_are_refused(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name, WANTED)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, table())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        read(path, WANTED)
