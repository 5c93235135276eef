"""Sets of Hugging Face's formats on disk: parquet, arrow, saved; bytes, paths, names, splits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import SMALL, config, parquet, touch
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError

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
        ({"y_column": "y"}, "split train of .* lacks the column y; name one of image, label"),
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


CODES: dict[str, Any] = {"train": ["red", "green"], "test": ["green", "red", "blue"]}


def parts_of(root: Path, codes: dict[str, Any], column: str = "label") -> Path:
    """save_to_disk parts whose `column` is coded as each says, by names or as a type."""
    for part, own in codes.items():
        rows = []
        for k in range(8):
            name = ("red", "green")[k % 2]
            value = own.index(name) if isinstance(own, list) else {"string": name}.get(own, k % 2)
            image = {"bytes": b"\x89PNG" + bytes([k, part == "test"]), "path": None}
            rows.append({"image": image, "label": k // 2 % 2, "place": k // 4} | {column: value})
        kinds = {
            name: datasets.ClassLabel(names=["p", "q"]) if name != column
            else datasets.ClassLabel(names=own) if isinstance(own, list)
            else datasets.Value(own)
            for name in ("label", "place")
        }  # fmt: skip
        table = datasets.Dataset.from_list(
            rows, features=datasets.Features(image=datasets.Image(), **kinds)
        )
        table.save_to_disk(str(root / part))
    (root / "dataset_dict.json").write_text(json.dumps({"splits": list(codes)}))
    return root


@pytest.mark.parametrize("column", ["label", "place"])
def test_labels_go_by_name_where_parts_code_them_differently(tmp_path: Path, column: str) -> None:
    own = {"root": str(parts_of(tmp_path / "set", CODES, column)), "minority": [[0, 1], [1, 0]]}
    dataset = config("huggingface", **own).load(tmp_path)
    codes = dataset.y if column == "label" else dataset.a
    groups = dataset.groups
    names = groups.class_names if column == "label" else groups.attribute_names
    assert names == ("red", "green", "blue")
    assert_array_equal(codes, np.arange(16) % 2)
    field = "class_names" if column == "label" else "attribute_names"
    turned = config("huggingface", **own, **{field: ["blue", "green", "red"]}).load(tmp_path)
    assert_array_equal(turned.y if column == "label" else turned.a, 2 - np.arange(16) % 2)
    with pytest.raises(InputError, match=rf"data\.{field}=.* all names .* \(red, green, blue\)"):
        config("huggingface", **own, **{field: ["one", "two", "three"]}).load(tmp_path)


def test_names_of_ones_own_rename_codes_or_order_them(tmp_path: Path) -> None:
    alike = {part: ["red", "green"] for part in CODES}
    own = {"root": str(parts_of(tmp_path / "set", alike))}
    for names, y in ((["stop", "go"], [0, 1]), (["green", "red"], [1, 0])):
        dataset = config("huggingface", **own, class_names=names).load(tmp_path)
        assert dataset.groups.class_names == tuple(names)
        assert_array_equal(dataset.y, y * 8)
    with pytest.raises(InputError, match="does not hold all names that the set itself has"):
        config("huggingface", **own, class_names=["red", "go"]).load(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("string", ""),
        ("int64", r"in different ways \(train class labels, test int64\)"),
    ],
)
def test_names_in_one_part_and_another_kind_in_the_other(
    tmp_path: Path, other: str, message: str
) -> None:
    root = parts_of(tmp_path / "set", {"train": ["red", "green"], "test": other})
    own = config("huggingface", root=str(root))
    if not message:
        assert_array_equal(own.load(tmp_path).y, np.arange(16) % 2)
        return
    with pytest.raises(InputError, match=message):
        own.load(tmp_path)


def test_a_class_label_of_minus_1_is_missing(tmp_path: Path) -> None:
    root = parts_of(tmp_path / "set", {part: ["red", "green"] for part in CODES})
    part = datasets.load_from_disk(str(root / "test"))
    table = part.map(lambda row, k: {"label": -1 if k == 2 else row["label"]}, with_indices=True)
    table.save_to_disk(str(tmp_path / "set2/test"))
    (root / "train").rename(tmp_path / "set2/train")
    (root / "dataset_dict.json").rename(tmp_path / "set2/dataset_dict.json")
    with pytest.raises(InputError, match=r"row 10: y='' is outside the coding"):
        config("huggingface", root=str(tmp_path / "set2")).load(tmp_path)


def test_parquet_files_that_state_other_names(tmp_path: Path) -> None:
    """The library reads every file with the names of the first."""
    root = parquet(tmp_path / "set")
    file = next(root.rglob("test*.parquet"))
    table = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "hf"))
    names = ["waterbird", "landbird"]
    turned = table.map(lambda row: {"label": 1 - row["label"]}).cast_column(
        "label", datasets.ClassLabel(names=names)
    )
    turned.to_parquet(str(file))
    with pytest.raises(InputError, match=r"codes the labels label as .* and .* as .*; write both"):
        config("huggingface", root=str(root)).load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_column": "label"}, r"image_column=label: this column of split train holds class l"
         r"abels and no images; name another of image \(images\), label \(class labels\), place"),
        ({"y_column": "image"}, "image_column, y_column and a_column are image, image, place; na"),
        ({"y_column": "image", "text_columns": ["place"], "a_column": "label"},
         r"column image of split train holds images and no labels; name another of image \(images"),
        ({"a_column": "label"}, "image_column, y_column and a_column are image, label, label; nam"),
        ({"text_columns": ["image"]}, "the column image of split train holds images and no texts"),
    ],
)  # fmt: skip
def test_a_column_of_another_kind_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        config("huggingface", root=str(parquet(tmp_path / "set")), **changes).load(tmp_path)


def test_rows_in_another_order_are_the_same_image_files(tmp_path: Path) -> None:
    root = parquet(tmp_path / "set")
    before = config("huggingface", root=str(root)).load(tmp_path / "cache")
    for file in root.rglob("*.parquet"):
        table = parquet_files.read_table(file)
        parquet_files.write_table(table.take(list(range(len(table)))[::-1]), file)
    after = config("huggingface", root=str(root)).load(tmp_path / "cache")
    assert after.root == before.root
    assert after.files != before.files
    assert dict(zip(after.files, after.codes, strict=True)) == dict(
        zip(before.files, before.codes, strict=True)
    )
