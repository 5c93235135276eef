"""wilds' own classes as the source: splits, fields and files, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import celeba, config, touch, waterbirds, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data import celeba as celeba_module
from w2s_groups.data import wilds as wilds_module
from w2s_groups.data.celeba import COUNTS
from w2s_groups.data.wilds import _coded, import_wilds


def test_the_same_as_our_own_loaders(tmp_path: Path) -> None:
    waterbirds(tmp_path)
    celeba(tmp_path)
    for name, dataset, attribute in (
        ("waterbirds", "waterbirds", "background"),
        ("celeba", "celebA", "male"),
    ):
        ours = config(name, root=str(tmp_path), check_counts=False).load(tmp_path)
        theirs = config("wilds", root=str(tmp_path), dataset=dataset, attribute=attribute).load(
            tmp_path
        )
        assert theirs.name == dataset
        assert theirs.root == ours.root
        assert theirs.files == ours.files
        assert_array_equal(theirs.codes, ours.codes)
        assert_array_equal(theirs.split, ours.split)
        if dataset == "waterbirds":
            assert theirs.groups == ours.groups
        else:
            assert theirs.groups.attribute_names == ("male=0", "male=1")


def camelyon17(root: Path) -> Path:
    """Patches of five hospitals; the numbers in the names are the rows' own."""
    table = [("", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")]
    for i in range(60):
        file = f"patches/patient_{i:03d}_node_0/patch_patient_{i:03d}_node_0_x_{i}_y_{i}.png"
        touch(root / "camelyon17_v1.0" / file)
        table.append((i, f"{i:03d}", 0, i, i, i % 2, i % 50, i % 5, int(i % 7 == 0)))  # type: ignore[arg-type]
    write_rows(root / "camelyon17_v1.0/metadata.csv", table)
    (root / "camelyon17_v1.0/RELEASE_v1.0.txt").touch()
    return root


def test_more_attributes_than_classes_and_more_splits(tmp_path: Path) -> None:
    own: dict[str, Any] = {
        "root": str(camelyon17(tmp_path)), "dataset": "camelyon17", "attribute": "hospital",
    }  # fmt: skip
    with pytest.raises(InputError, match="list the minority"):
        config("wilds", **own).load(tmp_path)
    own["minority"] = [[1, 0], [1, 1]]
    dataset = config("wilds", **own).load(tmp_path)
    number = np.array([int(file.rsplit("_", 1)[1].split(".")[0]) for file in dataset.files])
    assert_array_equal(dataset.y, number % 2)
    assert_array_equal(dataset.a, number % 5)
    assert dataset.groups.names[7] == "y=1-on-hospital=2"
    center = number % 5  # wilds holds hospital 1 out for validation and 2 for the test
    expected = np.where(center == 2, 2, np.where((center == 1) | (number % 7 == 0), 1, 0))
    assert_array_equal(dataset.split, expected)
    splits = {"train": "train", "id_val": "drop", "val": "val", "test": "test"}
    fewer = config("wilds", **own, splits=splits, class_names=["normal", "tumor"]).load(tmp_path)
    assert len(fewer.files) == 60 - int(((expected == 1) & (center != 1)).sum())
    assert fewer.groups.class_names == ("normal", "tumor")
    with pytest.raises(
        InputError, match=r"data\.splits\.val='vall' is unknown: did you mean 'val'"
    ):
        config("wilds", **own, splits={"val": "vall"}).load(tmp_path)
    with pytest.raises(InputError, match="3 names are given for y, which has 2 values"):
        config("wilds", **own, class_names=["a", "b", "c"]).load(tmp_path)
    (tmp_path / "camelyon17_v1.0" / dataset.files[4]).unlink()
    with pytest.raises(InputError, match=r"lists 1 images that are not in .*\(index 4\)"):
        config("wilds", **own).load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "waterbird"}, r"data\.dataset='waterbird' is unknown: did you mean 'waterbi"),
        ({"attribute": "place"}, r"data\.attribute='place' is unknown: .*known: background"),
        ({"dataset": "celebA"}, "does not hold wilds' celebA: .*put the unpacked folder there"),
        ({"dataset": "poverty"}, "does not hold wilds' poverty|needs the package"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    waterbirds(tmp_path)
    own = {"root": str(tmp_path), "dataset": "waterbirds", "attribute": "background", **changes}
    with pytest.raises(InputError, match=message):
        config("wilds", **own).load(tmp_path)


def test_broken_tables_are_one_sentence(tmp_path: Path) -> None:
    table = waterbirds(tmp_path) / "metadata.csv"
    own = config("wilds", root=str(tmp_path), dataset="waterbirds", attribute="background")
    for text in ("", "y,z\n1,2\n", table.read_text().replace(",0,", ",zero,")):
        table.write_text(text)
        with pytest.raises(InputError, match="wilds can't read waterbirds"):
            own.load(tmp_path)


def test_importing_wilds_starts_no_thread_and_asks_no_network() -> None:
    code = """
import socket, sys, threading
def refuse(*a, **k): raise SystemExit("the network was asked for")
socket.socket.connect = socket.getaddrinfo = refuse
import w2s_groups.cli.run
assert "wilds" not in sys.modules and "datasets" not in sys.modules
before = threading.active_count()
from w2s_groups.data.wilds import import_wilds
import_wilds()
assert threading.active_count() == before
assert "outdated" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waterbirds(tmp_path)
    monkeypatch.setitem(sys.modules, "wilds", None)
    own = {"root": str(tmp_path), "dataset": "waterbirds", "attribute": "background"}
    with pytest.raises(InputError, match=r"run pip install 'w2s_groups\[wilds\]'"):
        config("wilds", **own).load(tmp_path)


def test_under_pandas_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wilds_module, "version", lambda _: "3.1.1")
    with pytest.raises(InputError, match=r"needs pandas 2, .*'w2s_groups\[wilds\]'"):
        import_wilds()


def test_celeba_at_its_real_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """202,599 rows of 40 attributes: read in parts, which pandas 3.1 makes read-only."""
    cells = [
        np.tile([split, *divmod(group, 2)], (n, 1))
        for split, counts in enumerate(COUNTS.values())
        for group, n in enumerate(counts)
    ]
    rows = np.random.default_rng(0).permutation(np.concatenate(cells))
    folder = tmp_path / "celebA_v1.0"
    (folder / "img_align_celeba").mkdir(parents=True)
    (folder / "RELEASE_v1.0.txt").touch()
    names = [f"{i + 1:06d}.jpg" for i in range(len(rows))]
    signs = (2 * rows - 1).tolist()
    others, unused = ",".join(f"Attribute_{k}" for k in range(38)), ",-1" * 38
    (folder / "list_attr_celeba.csv").write_text(
        f"image_id,Blond_Hair,Male,{others}\n"
        + "".join(f"{n},{s[1]},{s[2]}{unused}\n" for n, s in zip(names, signs, strict=True))
    )
    (folder / "list_eval_partition.csv").write_text(
        "image_id,partition\n"
        + "".join(f"{n},{s}\n" for n, s in zip(names, rows[:, 0].tolist(), strict=True))
    )
    theirs = import_wilds()("celebA", root_dir=str(tmp_path), download=False)
    monkeypatch.setattr(celeba_module, "require_files", lambda *_: None)
    ours = config("celeba", root=str(tmp_path)).load(tmp_path)
    assert len(ours.files) == 202599
    assert_array_equal(theirs.y_array, ours.y)
    assert_array_equal(theirs.metadata_array[:, 0], ours.a)
    assert_array_equal(theirs.split_array, ours.split)
    assert_array_equal(ours.y, rows[:, 1])


@pytest.mark.parametrize(
    ("field", "values", "lost"),
    [("y", [0.0, np.nan, 1.0], 1), ("y", [0, 1, -100, -1], 2), ("hospital", [0.0, 1, np.inf], 2)],
)
def test_a_missing_value_of_the_metadata(field: str, values: list[float], lost: int) -> None:
    with pytest.raises(InputError, match=rf"{field}=\S+ at index {lost} .* a missing label"):
        _coded(np.array(values), field, None, None)


def test_an_attribute_below_0_is_a_value_of_its_own() -> None:
    codes, names = _coded(np.array([-1, 0, 2]), "region", None, None)
    assert codes.tolist() == [0, 1, 2]
    assert names == ["region=-1", "region=0", "region=2"]
