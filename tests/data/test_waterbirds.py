"""Waterbirds as it is on disk, against wilds' own class and the release's counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import SMALL, config, waterbirds, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import original_eta
from w2s_groups.data.waterbirds import COUNTS


@pytest.mark.parametrize("release", ["waterbirds_v1.0", "waterbird_complete95_forest2water2"])
def test_either_release_and_the_folder_above(tmp_path: Path, release: str) -> None:
    folder = waterbirds(tmp_path, release=release)
    for root in (folder, tmp_path):
        dataset = config("waterbirds", root=str(root), check_counts=False).load(tmp_path)
        assert dataset.root == folder
        counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
        assert_array_equal(counts, SMALL)
        assert original_eta(dataset) == 3 / 13
    assert dataset.groups.names[2] == "waterbird-on-land"


def test_both_releases_in_one_folder(tmp_path: Path) -> None:
    for release in ("waterbirds_v1.0", "waterbird_complete95_forest2water2"):
        waterbirds(tmp_path, release=release)
    with pytest.raises(InputError, match=r"holds 2 releases of waterbirds .*set data\.root to one"):
        config("waterbirds", root=str(tmp_path)).load(tmp_path)


def test_nothing_there_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no metadata\.csv in .* get waterbird_complete95_"):
        config("waterbirds", root=str(tmp_path)).load(tmp_path)


def test_counts_of_the_release(tmp_path: Path) -> None:
    folder = waterbirds(tmp_path, [COUNTS[split] for split in ("train", "val", "test")])
    dataset = config("waterbirds", root=str(folder)).load(tmp_path)
    assert len(dataset.files) == 11788
    assert original_eta(dataset) == 240 / 4795
    table = folder / "metadata.csv"
    lines = table.read_text().splitlines(keepends=True)
    row = next(line for line in lines if line.split(",")[2:5] == ["1", "0", "0"])
    table.write_text("".join(line for line in lines if line != row))
    with pytest.raises(
        InputError, match="train has 55 images of waterbird-on-land and the release has 56"
    ):
        config("waterbirds", root=str(folder)).load(tmp_path)


def test_three_species_can_be_corrected(tmp_path: Path) -> None:
    folder = waterbirds(tmp_path)
    own = {"root": str(folder), "check_counts": False}
    before = config("waterbirds", **own).load(tmp_path)
    after = config("waterbirds", **own, correct_species=True).load(tmp_path)
    listed = np.array(["Towhee" in file or "Meadowlark" in file for file in before.files])
    assert (before.y[listed] == 1).any()
    assert not after.y[listed].any()
    assert_array_equal(after.y[~listed], before.y[~listed])
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/a.jpg").touch()
    header = ("img_id", "img_filename", "y", "split", "place", "place_filename")
    write_rows(tmp_path / "flat/metadata.csv", [header, (1, "a.jpg", 1, 0, 0, "/x")])
    with pytest.raises(InputError, match=r"data\.correct_species=true: no folder"):
        config(
            "waterbirds", root=str(tmp_path / "flat"), check_counts=False, correct_species=True
        ).load(tmp_path)


def test_groups_equal_those_of_wilds(tmp_path: Path) -> None:
    from w2s_groups.data.wilds import import_wilds

    get_dataset = import_wilds()
    waterbirds(tmp_path)
    theirs = get_dataset("waterbirds", root_dir=str(tmp_path), download=False)
    ours = config("waterbirds", root=str(tmp_path), check_counts=False).load(tmp_path)
    assert list(theirs._input_array) == list(ours.files)
    assert_array_equal(theirs.y_array, ours.y)
    assert_array_equal(theirs.metadata_array[:, 0], ours.a)
    assert_array_equal(theirs.split_array, ours.split)
    # wilds' grouper counts background fastest last: background + 2 y.
    assert_array_equal(theirs._eval_grouper.metadata_to_group(theirs.metadata_array), ours.codes)
