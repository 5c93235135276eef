"""CelebA in its three layouts, against wilds' own class and the release's counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import SMALL, celeba, celeba_rows, config
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import original_eta
from w2s_groups.data.celeba import COUNTS

LAYOUTS = ("wilds", "kaggle", "original")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_hold_the_same_images(tmp_path: Path, layout: str) -> None:
    folder = celeba(tmp_path, layout)
    dataset = config("celeba", root=str(folder), check_counts=False).load(tmp_path)
    counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
    assert_array_equal(counts, SMALL)
    attributes, partition = celeba_rows(SMALL)
    split = dict(partition)
    for file, y, a, s in zip(dataset.files, dataset.y, dataset.a, dataset.split, strict=True):
        row = next(row for row in attributes if row[0] == file.rpartition("/")[2])
        assert ((row[2] + 1) // 2, (row[4] + 1) // 2, split[row[0]]) == (y, a, s)
    assert dataset.groups.names == (
        "not blond-on-female", "not blond-on-male", "blond-on-female", "blond-on-male",
    )  # fmt: skip
    assert dataset.groups.minority == {(1, 1)}
    assert original_eta(dataset) == 4 / 13


def test_the_folder_above(tmp_path: Path) -> None:
    folder = celeba(tmp_path)
    dataset = config("celeba", root=str(tmp_path), check_counts=False).load(tmp_path)
    assert dataset.root == folder


def test_any_attributes_and_minority(tmp_path: Path) -> None:
    own = {"root": str(celeba(tmp_path)), "check_counts": False}
    dataset = config(
        "celeba", **own, target="Eyeglasses", attribute="Young", minority=[[1, 1], [0, 0]]
    ).load(tmp_path)
    number = np.array([int(Path(file).stem) - 1 for file in dataset.files])
    assert_array_equal(dataset.y, number % 5 == 0)
    assert_array_equal(dataset.a, number % 2 == 0)
    assert dataset.groups.class_names == ("not eyeglasses", "eyeglasses")
    assert dataset.groups.minority == {(1, 1), (0, 0)}
    with pytest.raises(InputError, match=r"data\.target='Blond_hair' is unknown: .*'Blond_Hair'"):
        config("celeba", **own, target="Blond_hair").load(tmp_path)
    with pytest.raises(InputError, match="both Male"):
        config("celeba", **own, target="Male").load(tmp_path)


def _edit(path: Path, old: str, new: str, count: int = 1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


ATTR, PART = "list_attr_celeba", "list_eval_partition"


@pytest.mark.parametrize(
    ("layout", "table", "old", "new", "message"),
    [
        (
            "wilds",
            f"{ATTR}.csv",
            "000003.jpg",
            "000004.jpg",
            "line 5: 000004.jpg is listed already",
        ),
        ("wilds", f"{PART}.csv", "000003.jpg", "000004.jpg", "line 5: 000004.jpg is listed alr"),
        (
            "wilds",
            f"{PART}.csv",
            "000003.jpg",
            "9.jpg",
            "line 4: 000003.jpg and 0 other images are",
        ),
        ("wilds", f"{ATTR}.csv", "000003.jpg,-1", "000003.jpg", "line 4: 6 values are expected"),
        ("wilds", f"{ATTR}.csv", "Blond_Hair", "Hair", r"data\.target='Blond_Hair' is unknown"),
        ("wilds", f"{PART}.csv", ",0\n", ",5\n", "partition='5' is outside the coding"),
        ("original", f"Anno/{ATTR}.txt", "37\n", "38\n", "line 1: 38 rows are announced and 37"),
        ("original", f"Anno/{ATTR}.txt", "37\n", "7 8\n", "line 1: the number of rows is expected"),
        ("original", f"Anno/{ATTR}.txt", "000003.jpg", "", "line 5: 6 values are expected"),
        ("original", f"Anno/{ATTR}.txt", "01.jpg   1", "01.jpg   1 0", "6 values .* are 7"),
        ("original", f"Eval/{PART}.txt", "000003.jpg 0", "000003.jpg", "2 values are expected"),
    ],
)
def test_faults_are_named(
    tmp_path: Path, layout: str, table: str, old: str, new: str, message: str
) -> None:
    folder = celeba(tmp_path, layout)
    if new == "000003.jpg" and table.startswith("Eval"):
        old = next(
            line for line in (folder / table).read_text().splitlines() if line.startswith(new)
        )
    _edit(folder / table, old, new)
    with pytest.raises(InputError, match=message):
        config("celeba", root=str(folder), check_counts=False).load(tmp_path)


def test_missing_pieces(tmp_path: Path) -> None:
    folder = celeba(tmp_path)
    own = config("celeba", root=str(folder), check_counts=False)
    (folder / "img_align_celeba/000005.jpg").unlink()
    with pytest.raises(InputError, match=r"1 images .*000005\.jpg \(line 6\)"):
        own.load(tmp_path)
    (folder / f"{PART}.csv").unlink()
    with pytest.raises(InputError, match=r"list_eval_partition\.csv or \.txt is not; put it into"):
        own.load(tmp_path)
    (folder / f"{ATTR}.csv").unlink()
    with pytest.raises(InputError, match=r"no list_attr_celeba.*README\.md"):
        own.load(tmp_path)


def test_counts_of_the_release(tmp_path: Path) -> None:
    folder = celeba(tmp_path)
    with pytest.raises(
        InputError, match="train has 6 images of not blond-on-female and the release has 71629"
    ):
        config("celeba", root=str(folder)).load(tmp_path)
    with pytest.raises(InputError, match="train has 13 images and the release has 162770"):
        config("celeba", root=str(folder), target="Young").load(tmp_path)
    assert sum(map(sum, COUNTS.values())) == 202599


def test_groups_equal_those_of_wilds(tmp_path: Path) -> None:
    from w2s_groups.data.wilds import import_wilds

    celeba(tmp_path)
    theirs = import_wilds()("celebA", root_dir=str(tmp_path), download=False)
    ours = config("celeba", root=str(tmp_path), check_counts=False).load(tmp_path)
    assert [f"img_align_celeba/{file}" for file in theirs._input_array] == list(ours.files)
    assert_array_equal(theirs.y_array, ours.y)
    assert_array_equal(theirs.metadata_array[:, 0], ours.a)
    assert_array_equal(theirs.split_array, ours.split)
    assert_array_equal(theirs._eval_grouper.metadata_to_group(theirs.metadata_array), ours.codes)
