"""Sets of Hugging Face's formats on disk: parquet, arrow, saved; bytes, paths, names, splits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import SMALL, config, parquet, touch
from numpy.testing import assert_array_equal

from w2s_groups.errors import InputError

datasets = pytest.importorskip("datasets")
parquet_files = pytest.importorskip("pyarrow.parquet")


def test_parquet_files(tmp_path: Path) -> None:
    own = config("huggingface", root=str(parquet(tmp_path / "set")))
    dataset = own.load(tmp_path / "cache")
    counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
    assert_array_equal(counts, SMALL)
    assert dataset.groups.names[1] == "landbird-on-water"
    assert all(file.endswith(".png") for file in dataset.files)
    first = (dataset.root / dataset.files[0]).stat().st_mtime_ns
    again = own.load(tmp_path / "cache")
    assert (again.root, again.files) == (dataset.root, dataset.files)
    assert (again.root / again.files[0]).stat().st_mtime_ns == first
    (dataset.root / dataset.files[3]).unlink()  # noticed, and all are written again
    assert (own.load(tmp_path / "cache").root / dataset.files[3]).is_file()


def test_saved_to_disk_with_paths_and_other_columns(tmp_path: Path) -> None:
    for k in range(6):
        touch(tmp_path / f"set/pictures/{k}.png")
    table = {
        "file": [f"pictures/{k}.png" for k in range(6)],
        "bird": [0, 1, 1, 0, 1, 0],
        "water": [True, False, True, False, True, False],
    }
    datasets.Dataset.from_dict(table).save_to_disk(str(tmp_path / "set/saved"))
    for path in (tmp_path / "set/saved").iterdir():
        path.rename(tmp_path / "set" / path.name)
    columns = {"image_column": "file", "y_column": "bird", "a_column": "water"}
    own: dict[str, Any] = {"root": str(tmp_path / "set"), **columns}
    with pytest.raises(InputError, match=r"no image is of split test; set data\.pool=all"):
        config("huggingface", **own).load(tmp_path)
    dataset = config("huggingface", **own, pool="all").load(tmp_path)
    assert dataset.root == tmp_path / "set"
    assert dataset.files == tuple(table["file"])
    assert_array_equal(dataset.y, table["bird"])
    assert_array_equal(dataset.a, np.array(table["water"]).astype(int))
    (tmp_path / "set/pictures/2.png").unlink()
    with pytest.raises(InputError, match=r"1 images that are not in .*2\.png \(row 2\)"):
        config("huggingface", **own, pool="all").load(tmp_path)


def test_images_named_by_a_path(tmp_path: Path) -> None:
    features = datasets.Features(
        image=datasets.Image(), label=datasets.Value("string"), place=datasets.Value("int64")
    )
    rows = [
        {"image": {"bytes": None, "path": f"{k}.jpg"}, "label": "ab"[k % 2], "place": k // 2}
        for k in range(4)
    ]
    (tmp_path / "set").mkdir()
    # Its own writers would put the bytes in place of the paths.
    table = datasets.Dataset.from_list(rows, features=features).data.table
    parquet_files.write_table(
        table.cast(features.arrow_schema), str(tmp_path / "set/train-00000-of-00001.parquet")
    )
    for k in range(3):
        touch(tmp_path / f"set/{k}.jpg")
    own = config("huggingface", root=str(tmp_path / "set"), pool="all", test_fraction=0.5)
    with pytest.raises(InputError, match=r"row 3 of split train names .*3\.jpg, which can't be re"):
        own.load(tmp_path / "cache")
    touch(tmp_path / "set/3.jpg")
    dataset = own.load(tmp_path / "cache")
    assert_array_equal(dataset.codes, [0, 2, 1, 3])
    assert (dataset.root / dataset.files[3]).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_column": "y"}, "split train of .* lacks the column y; its columns are image, label"),
        ({"splits": {"train": "tr"}}, r"data\.splits\.train='tr' is unknown"),
        ({"attribute_names": ["sand", "sea"]}, "row 0: a='.*' is outside the coding 0..1"),
        ({"root": "", "hub": "a/b"}, "several are set"),
    ],
)
def test_faults(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config("huggingface", **{"root": str(parquet(tmp_path / "set")), **changes}).load(tmp_path)


def test_a_split_of_another_name(tmp_path: Path) -> None:
    root = parquet(tmp_path / "set")
    file = next(root.rglob("validation*.parquet"))
    file.rename(file.with_name(file.name.replace("validation", "extra")))
    own = {"root": str(root)}
    with pytest.raises(InputError, match=r"split extra is; add \+data\.splits\.extra=drop"):
        config("huggingface", **own).load(tmp_path / "cache")
    dataset = config("huggingface", **own, splits={"extra": "drop"}).load(tmp_path / "cache")
    assert len(dataset.files) == sum(SMALL[0]) + sum(SMALL[2])


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    root = parquet(tmp_path / "set")
    file = next(root.rglob("test*.parquet"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"data\.root=.* can't be read \(.*\); set data\.root to"):
        config("huggingface", root=str(root)).load(tmp_path / "cache")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'w2s_groups\[hf\]'"):
        config("huggingface", root=str(tmp_path)).load(tmp_path)
