from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from tiny_pictures import write_background, write_cutout

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN
from w2s_groups.data.composite import Composite
from w2s_groups.data.compositing.dataset import Settings, compose
from w2s_groups.data.compositing.sources import sources_in
from w2s_groups.data.files import cache as cache_module

Folders = dict[str, dict[str, str]]


def _paths(folders: dict[str, str]) -> list[tuple[str, Path]]:
    return [(name, Path(folder)) for name, folder in folders.items()]


def _compose(pictures: Folders, settings: Settings, cache: Path):
    return compose(
        *(sources_in(_paths(pictures[key]), f"data.{key}.") for key in ("cutouts", "backgrounds")),
        settings,
        cache,
    )


def _bytes(dataset) -> dict[str, bytes]:
    return {file: (dataset.root / file).read_bytes() for file in dataset.files}


def test_counts_formats_and_identities(
    pictures: Folders, settings: Settings, tmp_path: Path
) -> None:
    dataset = _compose(pictures, settings, tmp_path / "cache")
    for split, n in ((TRAIN, [5, 5, 4, 4]), (TEST, [3, 3, 2, 2])):
        assert_array_equal(np.bincount(dataset.codes[dataset.split == split], minlength=4), n)
    sides: dict[str, set[int]] = defaultdict(set)
    places = [line.split(",") for line in (dataset.root / "metadata.csv").read_text().splitlines()]
    assert places[0] == ["img_id", "img_filename", "y", "split", "place", "place_filename"]
    for number, (file, y, a, split, row) in enumerate(
        zip(dataset.files, dataset.y, dataset.a, dataset.split, places[1:], strict=True), start=1
    ):
        class_name, identity, _ = file.split("/")
        assert class_name == ("cat", "dog")[y]
        assert row[0] == str(number)
        assert row[5].split("/")[:2] == ["", ("in", "out")[a]]
        sides[identity].add(split)
        sides[row[5]].add(split)
        with Image.open(dataset.root / file) as image:
            assert (image.size, image.mode, image.format) == ((24, 24), "RGB", "JPEG")
    assert all(len(split) == 1 for split in sides.values())
    assert Counter(split for (split,) in sides.values()) == {TRAIN: 4 * 3, TEST: 4 * 2}
    assert (dataset.root / "RELEASE_v1.0.txt").read_bytes() == b""


def test_same_recipe_same_bytes_on_any_number_of_cores(
    pictures: Folders, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _compose(pictures, settings, tmp_path / "one")
    monkeypatch.setattr("w2s_groups.data.files.parallel.cores", lambda: 1)
    monkeypatch.setattr("w2s_groups.data.compositing.render._CHUNK", 5)
    second = _compose(pictures, settings, tmp_path / "two")
    assert first.root.name == second.root.name
    assert _bytes(first) == _bytes(second)


def test_second_call_composes_nothing(
    pictures: Folders, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _compose(pictures, settings, tmp_path)
    monkeypatch.setattr("w2s_groups.data.compositing.dataset.render", None)
    assert _compose(pictures, settings, tmp_path).root == first.root


@pytest.mark.parametrize(
    "change",
    [
        {"n_pool": 20},
        {"n_test": 12},
        {"size": 32},
        {"split_seed": 1},
        {"test_fraction": 0.2},
        {"crop": [0.5, 1.0]},
        {"scale": [0.5, 0.7]},
        {"quality": 80},
    ],
)
def test_any_setting_is_another_folder(
    pictures: Folders, settings: Settings, tmp_path: Path, change: dict[str, object]
) -> None:
    first = _compose(pictures, settings, tmp_path)
    assert _compose(pictures, replace(settings, **change), tmp_path).root != first.root


def test_another_picture_or_order_of_classes_is_another_folder(
    pictures: Folders, settings: Settings, tmp_path: Path
) -> None:
    roots = [_compose(pictures, settings, tmp_path).root]
    backward = pictures | {"cutouts": dict(reversed(pictures["cutouts"].items()))}
    swapped = _compose(backward, settings, tmp_path)
    assert swapped.files[0].startswith("dog/")
    roots.append(swapped.root)
    write_cutout(Path(pictures["cutouts"]["cat"]) / "cat0.png", 999)
    roots.append(_compose(pictures, settings, tmp_path).root)
    assert len(set(roots)) == 3


@pytest.mark.parametrize("kind", ["text", "truncated", "opaque", "empty"])
def test_unusable_cutouts_are_named(
    pictures: Folders, settings: Settings, tmp_path: Path, kind: str
) -> None:
    path = Path(pictures["cutouts"]["dog"]) / "dog3.png"
    if kind == "text":
        path.write_text("<html>not found</html>")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    else:
        alpha = 255 if kind == "opaque" else 0
        Image.new("RGBA", (9, 9), (1, 2, 3, alpha)).save(path)
    with pytest.raises(InputError, match=r"dog3\.png"):
        _compose(pictures, settings, tmp_path / "cache")
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_one_picture_under_two_identities_is_refused(
    pictures: Folders, settings: Settings, tmp_path: Path
) -> None:
    folder = Path(pictures["backgrounds"]["in"])
    (folder / "copy.png").write_bytes((folder / "in1.png").read_bytes())
    with pytest.raises(InputError, match="same picture under two identities"):
        _compose(pictures, settings, tmp_path / "cache")


def test_sub_folder_is_one_identity(tmp_path: Path) -> None:
    for name in ("gull/1.png", "gull/deep/2.png", "duck.png"):
        write_background(tmp_path / "bird" / name, 0)
    (tmp_path / "bird" / "notes.txt").touch()
    found = sources_in([("bird", tmp_path / "bird")], "data.cutouts.")["bird"]
    assert {name: len(paths) for name, paths in found.items()} == {"gull": 2, "duck": 1}
    with pytest.raises(InputError, match=r"data\.cutouts\.x=.* is not a directory; name"):
        sources_in([("x", tmp_path / "none")], "data.cutouts.")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        sources_in([("x", tmp_path / "none")], "data.cutouts.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_pool", 0),
        ("n_test", float("nan")),
        ("size", 4),
        ("split_seed", -1),
        ("test_fraction", float("nan")),
        ("test_fraction", 1.0),
        ("crop", [0.9, 0.5]),
        ("crop", [float("nan"), 1.0]),
        ("scale", [0.5]),
        ("scale", [0.5, 1.5]),
        ("quality", 101),
    ],
)
def test_settings_out_of_range(settings: Settings, field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"data.{field}="):
        replace(settings, **{field: value})


def test_full_disk_leaves_nothing(
    pictures: Folders, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = Path.write_bytes, []

    def write_bytes(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) > 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(InputError, match="No space left on device; free some space"):
        _compose(pictures, settings, tmp_path / "cache")
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_killed_composition_is_not_read_as_whole(
    pictures: Folders, settings: Settings, tmp_path: Path
) -> None:
    script = (
        "import sys, json; from pathlib import Path\n"
        "from w2s_groups.data.composite import Composite\n"
        "pictures, settings, cache = json.loads(sys.argv[1])\n"
        "step = lambda name, done, total: done and print(done, flush=True)\n"
        "Composite(**settings, **pictures, minority=[]).load(Path(cache), step)\n"
    )
    many = vars(settings) | {"n_pool": 40_000}
    arguments = json.dumps([pictures, many, str(tmp_path / "cache")])
    with subprocess.Popen(
        [sys.executable, "-c", script, arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.kill()
    (left,) = (tmp_path / "cache" / "datasets").iterdir()
    assert left.name.startswith(".partial-")
    assert list(left.rglob("*.jpg"))
    assert cache_module.check(left) != ""


def test_groups_equal_those_of_wilds(
    pictures: Folders, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # wilds asks the network for a newer release when it is imported; without this module it cannot
    monkeypatch.setitem(sys.modules, "outdated", None)
    from wilds.datasets.waterbirds_dataset import WaterbirdsDataset

    ours = _compose(pictures, settings, tmp_path / "cache")
    (tmp_path / "wilds").mkdir()
    (tmp_path / "wilds" / "waterbirds_v1.0").symlink_to(ours.root)
    theirs = WaterbirdsDataset(root_dir=str(tmp_path / "wilds"))
    assert_array_equal(theirs.y_array.numpy(), ours.y)
    assert_array_equal(theirs.split_array, ours.split)
    background, y = theirs.metadata_array[:, :2].numpy().T
    assert theirs.metadata_fields[:2] == ["background", "y"]
    assert_array_equal(y * 2 + background, ours.codes)
    their_groups = theirs._eval_grouper.metadata_to_group(theirs.metadata_array).numpy()
    assert len(set(zip(their_groups, ours.codes, strict=True))) == ours.groups.n_groups
    for i in (0, len(ours.files) - 1):
        with Image.open(ours.root / ours.files[i]) as image:
            assert_array_equal(np.asarray(theirs.get_input(i)), np.asarray(image))


def test_config_loads_folders_of_ones_own(
    pictures: Folders, settings: Settings, tmp_path: Path
) -> None:
    config = Composite(**vars(settings), **pictures, minority=[[0, 1]])
    dataset = config.load(tmp_path / "cache")
    assert dataset.groups.names == ("cat-on-in", "cat-on-out", "dog-on-in", "dog-on-out")
    assert dataset.groups.minority == {(0, 1)}
