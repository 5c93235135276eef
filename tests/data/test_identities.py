"""Identities and places from columns: who has them, and that pool and test never share one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from layouts import MAKE, celeba, config
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import HIDDEN, plain
from w2s_groups.data.base import TEST, TRAIN, TextDataset
from w2s_groups.data.identities import _nearest, kept_together
from w2s_groups.data.ondisk import resplit
from w2s_groups.design.groups import Groups

TABLES = {
    "celeba": "list_attr_celeba.csv",
    "civilcomments": "all_data_with_identities.csv",
    "folder": "metadata.csv",
    "metadata_csv": "metadata.csv",
    "waterbirds": "metadata.csv",
}


def with_columns(name: str, root: Path) -> tuple[dict[str, Any], Any]:
    """A set in its layout whose table has `who` and `where`, of official splits of their own."""
    made = MAKE[name](root / "data")
    path = Path(made["root"]) / TABLES[name]
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if name == "celeba":
        parts = pd.read_csv(path.with_name("list_eval_partition.csv"), dtype=str)
        frame["split"] = frame["image_id"].map(dict(parts.to_numpy()))
    number = np.arange(len(frame))
    frame["who"] = [f"{s}-{k % 4}" for s, k in zip(frame["split"], number, strict=True)]
    frame["where"] = [f"{s} / {k % 3}" for s, k in zip(frame["split"], number, strict=True)]
    frame.to_csv(path, index=False)
    return made, frame


@pytest.mark.parametrize("name", TABLES)
def test_columns_of_a_table(name: str, tmp_path: Path) -> None:
    made, frame = with_columns(name, tmp_path)
    columns = {"identity_column": "who", "place_column": "where"}
    dataset = config(name, **made, **columns).load(tmp_path / "cache")
    assert dataset.identity == tuple(frame["who"])
    assert dataset.place == tuple(frame["where"])
    ordered = dataset.in_order()
    assert ordered.identity == tuple(frame["who"].iloc[ordered.listed])
    plainly = config(name, **made).load(tmp_path / "cache")
    assert plainly.identity is plainly.place is None
    assert_array_equal(plainly.split, dataset.split)
    path = Path(made["root"]) / TABLES[name]
    frame.loc[[3, 5], "who"] = ["", "n/a"]
    frame.to_csv(path, index=False)
    with pytest.raises(
        InputError, match=r"line \d+ and 1 more: who='' reads as a missing identity"
    ):
        config(name, **made, identity_column="who").load(tmp_path / "cache")
    with pytest.raises(InputError, match="lacks the column whom; its columns are"):
        config(name, **made, identity_column="whom").load(tmp_path / "cache")


def test_photographs_behind_waterbirds(tmp_path: Path) -> None:
    made = MAKE["waterbirds"](tmp_path)
    dataset = config("waterbirds", **made, place_column="place_filename").load(tmp_path)
    assert dataset.place is not None
    assert dataset.place[0] == "/o/ocean/00000000.jpg"
    assert len(set(dataset.place)) == len(dataset.files)


def test_persons_of_celeba(tmp_path: Path) -> None:
    root = celeba(tmp_path, "original")
    own = {"root": str(root), "check_counts": False, "identity_column": "identity_CelebA"}
    with pytest.raises(InputError, match=r"there is no identity_CelebA\.txt in .*; get it"):
        config("celeba", **own).load(tmp_path)
    official = config("celeba", **{**own, "identity_column": None}).load(tmp_path)
    person = {
        Path(file).name: f"{s}{k % 5}"
        for k, (file, s) in enumerate(zip(official.files, official.split, strict=True))
    }
    lines = [f"{file} {who}" for file, who in sorted(person.items(), reverse=True)]
    (root / "Anno/identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    dataset = config("celeba", **own).load(tmp_path)
    assert dataset.identity == tuple(person[Path(file).name] for file in dataset.files)
    (root / "Anno/identity_CelebA.txt").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(InputError, match="identity_CelebA='' reads as a missing identity"):
        config("celeba", **own).load(tmp_path)


def test_columns_of_parquet_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    names = datasets.ClassLabel(names=["ada", "bo", "cy", "di"])
    folder = tmp_path / "set/data"
    folder.mkdir(parents=True)
    for split, first in (("train", 0), ("test", 2)):
        rows = [
            {"text": f"{split} {k}", "label": k % 2, "place": k // 2 % 2, "who": first + k % 2,
             "file": float(k)}
            for k in range(8)
        ]  # fmt: skip
        table = datasets.Dataset.from_list(rows).cast_column("who", names)
        table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    own = {"root": str(tmp_path / "set"), "text_columns": ["text"], "identity_column": "who"}
    dataset = config("huggingface", **own).load(tmp_path / "cache")
    assert dataset.identity == (*["ada", "bo"] * 4, *["cy", "di"] * 4)
    with pytest.raises(
        InputError, match="8 of 8 names of the test are in the pool too, such as '0"
    ):
        config("huggingface", **own, place_column="file").load(tmp_path / "cache")
    with pytest.raises(InputError, match="lacks the column whom; name one of"):
        config("huggingface", **{**own, "identity_column": "whom"}).load(tmp_path / "cache")


def test_fields_of_wilds(tmp_path: Path) -> None:
    made = MAKE["wilds"](tmp_path / "data")
    own = {**made, "pool": "all", "test_fraction": 0.5}
    with pytest.raises(InputError, match=r"data\.identity_column='bird' is unknown: known: backgr"):
        config("wilds", **own, identity_column="bird").load(tmp_path)
    dataset = config("wilds", **own, place_column="background").load(tmp_path)
    assert set(dataset.place or ()) == {"land", "water"}
    test = np.array(dataset.place)[dataset.split == TEST]
    assert len(set(test)) == 1


@pytest.mark.parametrize("name", ["bffhq", "imagenet9"])
def test_folders_have_no_columns(name: str) -> None:
    with pytest.raises(
        InputError, match=r"data\.place_column=x: .*no table names .*set it to null"
    ):
        config(name, root="x", place_column="x")


def test_one_column_is_not_both() -> None:
    with pytest.raises(InputError, match="are both who; name another column"):
        config("metadata_csv", root="x", identity_column="who", place_column="who")


def test_columns_that_are_not_named_are_no_settings() -> None:
    """Keys, digests and reports of older configurations do not hold them."""
    unset = config("metadata_csv", root="x")
    assert not {"identity_column", "place_column"} & set(plain(unset, HIDDEN))
    named = config("metadata_csv", root="x", place_column="where")
    assert plain(named, HIDDEN) == {**plain(unset, HIDDEN), "place_column": "where"}


def test_an_official_split_that_shares_a_name(tmp_path: Path) -> None:
    made, frame = with_columns("metadata_csv", tmp_path)
    frame.loc[frame["split"] == "2", "who"] = frame["who"].str.replace("2-1", "0-1")
    frame.to_csv(Path(made["root"]) / "metadata.csv", index=False)
    own = {**made, "identity_column": "who"}
    message = (
        r"data\.identity_column=who: 1 of 4 names of the test are in the pool too, such as '0-1'; "
        r"set data\.pool=all, or data\.pool=unsplit with .*, to keep each on one side"
    )
    with pytest.raises(InputError, match=message):
        config("metadata_csv", **own).load(tmp_path)
    dataset = config("metadata_csv", **own, pool="all").load(tmp_path)
    assert_apart(dataset, "identity")


def texts(n: int, n_identities: int, n_places: int | None = None, seed: int = 0) -> TextDataset:
    """n texts of groups of different sizes, by identities that hold few or many of them."""
    draw = np.random.default_rng(seed)
    share = draw.dirichlet(np.full(n_identities, 0.7))
    identity = draw.choice(n_identities, n, p=share)
    y, a = draw.integers(0, 2, (2, n))
    place = draw.integers(0, n_places, n) if n_places else None
    names = tuple(f"text {k}" for k in range(n))
    return TextDataset(
        "t", y, np.where(draw.random(n) < 0.3, a, y), draw.integers(0, 3, n),
        Groups(("n", "y"), ("off", "on")), files=names, texts=names,
        identity=tuple(f"who {k}" for k in identity),
        place=None if place is None else tuple(f"where {k}" for k in place),
    )  # fmt: skip


def assert_apart(dataset: Any, *fields: str) -> None:
    test = dataset.split == TEST
    assert 0 < test.sum() < len(test)
    for field in fields:
        names = np.array(getattr(dataset, field))
        assert not set(names[test]) & set(names[~test])


@pytest.mark.parametrize("seed", range(5))
def test_names_are_split_to_the_wanted_share_of_each_group(seed: int) -> None:
    dataset = texts(2000, 60, seed=seed)
    again = resplit(dataset, 0.33, seed)
    assert_apart(again, "identity")
    assert set(again.split) == {TRAIN, TEST}
    assert_array_equal(again.official, dataset.split)
    for code in range(4):
        of_group = again.split[again.codes == code] == TEST
        assert of_group.mean() == pytest.approx(0.33, abs=0.02)
    other = resplit(dataset, 0.33, seed + 1)
    assert (other.split != again.split).any()
    order = np.random.default_rng(seed).permutation(2000)
    assert_array_equal(resplit(dataset.at(order), 0.33, seed).split, again.split[order])


def test_the_nearest_split_of_few_names() -> None:
    """Against every one of the 2¹⁰ splits: never more than a twentieth farther, in units of 1."""
    draw = np.random.default_rng(0)
    masks = np.array(list(itertools.product([False, True], repeat=10)))
    for _ in range(30):
        counts = draw.poisson(5, (10, 3)) + 1
        wanted = np.round(counts.sum(0) / 3).astype(int)
        distance = (((masks @ counts - wanted) / wanted) ** 2).sum(1)
        own = (((_nearest(counts, wanted) @ counts - wanted) / wanted) ** 2).sum()
        assert own <= distance.min() + 0.05
        assert own < np.quantile(distance, 0.05)


def test_both_names_are_kept_together() -> None:
    """Identities that share places are one cluster, by a graph search of its own."""
    dataset = texts(300, 200, 400)
    cluster = kept_together(dataset)
    assert cluster is not None
    identity, place = dataset.identity, dataset.place
    assert identity is not None
    assert place is not None
    seen: dict[str, set[int]] = {}
    for row in range(300):
        for name in (identity[row], place[row]):
            seen.setdefault(name, set()).add(int(cluster[row]))
    assert all(len(found) == 1 for found in seen.values())
    groups = [{identity[row], place[row]} for row in range(300)]
    merged: list[set[str]] = []
    for names in groups:
        touching = [other for other in merged if other & names]
        merged = [other for other in merged if not other & names]
        merged.append(names.union(*touching))
    assert len(merged) == cluster.max() + 1
    order = np.random.default_rng(0).permutation(300)
    assert_array_equal(kept_together(dataset.at(order)), cluster[order])
    assert_apart(resplit(dataset, 0.33, 0), "identity", "place")


def test_crossed_names_cannot_be_split() -> None:
    dataset = texts(500, 5, 4)
    with pytest.raises(
        InputError, match="are linked, so that no split of all keeps each on one side; set"
    ):
        resplit(dataset, 0.33, 0)
    assert_apart(resplit(replace(dataset, place=None), 0.33, 0), "identity")
    assert_apart(resplit(replace(dataset, identity=None), 0.33, 0), "place")


def test_what_another_pool_would_serve_keeps_names_together(tmp_path: Path) -> None:
    made, _ = with_columns("metadata_csv", tmp_path)
    own = config("metadata_csv", **made, identity_column="who")
    dataset = own.load(tmp_path)
    all_of_it = config("metadata_csv", **made, identity_column="who", pool="all").load(tmp_path)
    left = np.bincount(all_of_it.codes[all_of_it.split == TRAIN], minlength=4)
    assert_array_equal(own.if_all(dataset), left)
