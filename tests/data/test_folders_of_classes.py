"""ImageNet-9 and BFFHQ, whose groups are in the names of folders and files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts import IN9, SMALL, bffhq, config, imagenet9, touch
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data import imagenet9 as imagenet9_module
from w2s_groups.data.base import TEST, TRAIN, VAL


def test_imagenet9_has_nine_classes_and_backgrounds(tmp_path: Path) -> None:
    dataset = config("imagenet9", check_counts=False, root=str(imagenet9(tmp_path))).load(tmp_path)
    assert dataset.groups.n_groups == 81
    assert dataset.groups.names[9 * 2 + 8] == "wheeled vehicle-on-fish"
    own = np.arange(9) * 10
    table = np.zeros((2, 81), dtype=int)
    table[:, own] = 3 + 1  # original or mixed_same, and the k = 0 of mixed_rand
    for k in (1, 2):
        table[:, np.arange(9) * 9 + (np.arange(9) + k) % 9] = 1
    for row, split in enumerate((TRAIN, TEST)):
        assert_array_equal(np.bincount(dataset.codes[dataset.split == split], minlength=81),
                           table[row])  # fmt: skip
    sets = {(f.split("/")[0], s) for f, s in zip(dataset.files, dataset.split, strict=True)}
    assert sets == {("original", 0), ("mixed_rand", 0), ("mixed_same", 2), ("mixed_rand", 2)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"background": "bg_(("}, "not a regular expression"),
        ({"background": r"bg_\d\d"}, r"lacks the group \(\?P<background>"),
        ({"background": "(?P<background>xx)"}, "tells no background class 0..8"),
        ({"background": "(?P<background>fg)"}, "tells no background class 0..8"),
        ({"train_sets": ["original/val", "original/val"]}, "must name each set once"),
        ({"test_sets": []}, "one of test"),
        ({"train_sets": ["mixed_next/train"]}, "no set mixed_next/train in .*mixed_rand/train"),
    ],
)
def test_imagenet9_faults(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    imagenet9(tmp_path)
    with pytest.raises(InputError, match=message):
        config("imagenet9", check_counts=False, root=str(tmp_path), **changes).load(tmp_path)


@pytest.mark.parametrize("file", ["09_cat/a_bg_01.JPEG", "dog/a_bg_01.JPEG", "a_bg_01.JPEG"])
def test_imagenet9_odd_folders(tmp_path: Path, file: str) -> None:
    touch(imagenet9(tmp_path) / "mixed_rand/val" / file)
    with pytest.raises(InputError, match="is not in a folder NN_class"):
        config("imagenet9", check_counts=False, root=str(tmp_path)).load(tmp_path)


def test_bffhq(tmp_path: Path) -> None:
    bffhq(tmp_path / "bffhq")
    for root in (tmp_path, tmp_path / "bffhq"):
        dataset = config("bffhq", check_counts=False, root=str(root)).load(tmp_path)
        counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
        assert_array_equal(counts, SMALL)
    conflict = np.array(["conflict" in file for file in dataset.files])
    assert_array_equal(
        conflict[dataset.split == TRAIN], (dataset.y != dataset.a)[dataset.split == 0]
    )
    assert (dataset.split == VAL).any()
    assert dataset.groups.names[1] == "young-on-male"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("0.5pct/align/0/9_0_1.png", "in the folder align and its name says label 0 and attrib"),
        ("0.5pct/conflict/1/9_0_1.png", "in the folder 1 and its name says label 0"),
        ("test/0/9_1_0.png", "in the folder 0"),
        ("valid/9.png", "does not end with _label_attribute"),
        ("valid/9_2_0.png", "does not end with _label_attribute"),
    ],
)
def test_bffhq_faults(tmp_path: Path, file: str, message: str) -> None:
    touch(bffhq(tmp_path) / file)
    with pytest.raises(InputError, match=message):
        config("bffhq", check_counts=False, root=str(tmp_path)).load(tmp_path)
    with pytest.raises(InputError, match=r"there is no 2pct in .* has 0\.5pct, test, valid"):
        config("bffhq", check_counts=False, root=str(tmp_path), percent="2pct").load(tmp_path)


def renamed(root: Path, name: str, tells: Callable[[int, int], int], n: int = 4) -> Path:
    """Set `name` with n images of each class, whose names tell tells(class, k) as background."""
    shutil.rmtree(root / name)
    for y, folder in enumerate(IN9):
        for k in range(n):
            touch(root / name / folder / f"fg_{k}_bg_{tells(y, k):02d}_{y}{k}.JPEG")
    return root


@pytest.mark.parametrize(
    ("name", "tells", "message"),
    [
        ("mixed_rand/val", lambda y, k: (y + 1) % 9, r"36 of 36 images .* the class \+ 1"),
        ("mixed_rand/val", lambda y, k: y, "36 of 36 images in .* the class itself"),
        ("mixed_rand/val", lambda y, k: (y + 1 + k // 3) % 9, r"27 of 36 images .* the class \+ 1"),
        ("mixed_rand/val", lambda y, k: (y * 5 + 2 * k + y * k) % 9, ""),
        ("mixed_next/val", lambda y, k: (y + 1) % 9, ""),
        ("own/val", lambda y, k: y, ""),
        ("own/val", lambda y, k: (y + 1) % 9, r"36 of 36 images in own/val tell the class \+ 1"),
    ],
)  # fmt: skip
def test_names_that_follow_a_rule_do_not_tell_the_background(
    tmp_path: Path, name: str, tells: Callable[[int, int], int], message: str
) -> None:
    imagenet9(tmp_path)
    (tmp_path / name).mkdir(parents=True, exist_ok=True)
    renamed(tmp_path, name, tells)
    own = config("imagenet9", root=str(tmp_path), check_counts=False, test_sets=[name])
    if not message:
        assert (own.load(tmp_path).split == TEST).sum() == 36
        return
    with pytest.raises(InputError, match=message):
        own.load(tmp_path)


def test_a_class_with_one_background(tmp_path: Path) -> None:
    renamed(imagenet9(tmp_path), "mixed_rand/val", lambda y, k: 4 if y == 3 else (y + k) % 9, 20)
    with pytest.raises(InputError, match=r"20 of 20 images of reptile in .* background carniv"):
        config("imagenet9", root=str(tmp_path), check_counts=False).load(tmp_path)


def test_one_number_for_two_classes(tmp_path: Path) -> None:
    imagenet9(tmp_path)
    (tmp_path / "mixed_rand/val/00_dog").rename(tmp_path / "x")
    (tmp_path / "mixed_rand/val/01_bird").rename(tmp_path / "mixed_rand/val/00_bird")
    (tmp_path / "x").rename(tmp_path / "mixed_rand/val/01_dog")
    with pytest.raises(InputError, match=r"number their classes differently \(00_dog and 00_bird"):
        config("imagenet9", root=str(tmp_path), check_counts=False).load(tmp_path)


def test_a_part_of_the_training_set_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagenet9(tmp_path)
    with pytest.raises(
        InputError, match="original/train/00_dog has 3 images and the release has 5045"
    ):
        config("imagenet9", root=str(tmp_path)).load(tmp_path)
    monkeypatch.setattr(imagenet9_module, "PER_CLASS", 3)
    config("imagenet9", root=str(tmp_path)).load(tmp_path)
    others = config("imagenet9", root=str(tmp_path), train_sets=["mixed_rand/train"])
    (tmp_path / "original/train/03_reptile/n0209_0.JPEG").unlink()
    with pytest.raises(InputError, match="03_reptile has 2 images"):
        config("imagenet9", root=str(tmp_path)).load(tmp_path)
    others.load(tmp_path)
    (tmp_path / "release").mkdir()
    (tmp_path / "mixed_same").rename(tmp_path / "release/mixed_same")
    moved = ["release/mixed_same/val", "mixed_rand/val"]
    dataset = config("imagenet9", root=str(tmp_path), check_counts=False, test_sets=moved).load(
        tmp_path
    )
    same = np.array([file.startswith("release/") for file in dataset.files])
    assert same.sum() == 27
    assert_array_equal(dataset.y[same], dataset.a[same])


@pytest.mark.parametrize(
    ("percent", "n_conflict", "right"),
    [("0.5pct", 5, True), ("0.5pct", 8, False), ("0.5pct", 0, True), ("2pct", 20, True),
     ("2pct", 5, False), ("all", 500, True)],
)  # fmt: skip
def test_the_share_of_conflict_is_what_the_folder_says(
    tmp_path: Path, percent: str, n_conflict: int, right: bool
) -> None:
    n = 1000 if percent != "0.5pct" or n_conflict else 100  # of 100, half an image is in conflict
    for i in range(n):
        y, a = i % 2, i % 2 if i >= n_conflict else 1 - i % 2
        kind = "align" if y == a else "conflict"
        touch(tmp_path / percent / kind / str(y) / f"{i}_{y}_{a}.png")
    for place in ("valid", "test"):
        touch(tmp_path / place / "1_0_1.png")
    own = config("bffhq", root=str(tmp_path), percent=percent)
    if right:
        assert (own.load(tmp_path).split == TRAIN).sum() == n
        return
    with pytest.raises(InputError, match=rf"{n_conflict} of 1000 images of {percent} are in conf"):
        own.load(tmp_path)
