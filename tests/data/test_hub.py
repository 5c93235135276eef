"""Presets of mirrors on the hub: what makes one trustworthy is that its counts are the release's.

The hub is never asked: sets of the same shape stand on this disk, as small as the test says. Where
the release's own numbers are meant, rows are labels without content.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import MAKE, PAIRS, SMALL, config, hub_celeba, hub_multinli, parquet
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS, celeba, civilcomments, waterbirds
from w2s_groups.data.base import TEST, TextDataset
from w2s_groups.data.hub import ALL, HubMultiNLI, has_negation
from w2s_groups.data.rows import groups_of

datasets = pytest.importorskip("datasets")
HUB = [name for name in DATASETS if name.startswith("hub_")]
COUNTS = {
    "hub_celeba": celeba.COUNTS,
    "hub_civilcomments": civilcomments.BLACK,
    "hub_waterbirds": waterbirds.COUNTS,
}
# Group DRO's random split of MultiNLI, as its tables list it: groups in the order of the sums.
GROUP_DRO = np.array([
    [57498, 11158, 67376, 1521, 66630, 1992],
    [22814, 4634, 26949, 613, 26655, 797],
    [34597, 6655, 40496, 886, 39930, 1148],
])  # fmt: skip


def labels(counts: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, a and split of rows that have these counts (split -> group)."""
    table = np.array(counts)
    split, group = (np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))
    return group // 2, group % 2, split


def checked(name: str, counts: Any, **changes: Any) -> None:
    own = config(name, root="x", **changes)
    names = own.class_names, own.attribute_names
    own.check_labels("owner/set", groups_of(*names, own.minority), *labels(counts))


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_release_are_taken_and_others_named(name: str) -> None:
    counts = np.array(list(COUNTS[name].values()))
    checked(name, counts)
    other = counts.copy()
    other[1, 2] -= 3
    other[2, 0] += 1
    wanted = counts[1, 2]
    message = rf"owner/set is not the published set: val has {wanted - 3} \w+ of .* and the release"
    with pytest.raises(InputError, match=message) as caught:
        checked(name, other)
    assert "(1 more of its numbers differ); name another mirror in data.hub" in str(caught.value)
    checked(name, other, check_counts=False)


@pytest.mark.parametrize("name", COUNTS)
def test_exchanged_splits_are_recognised(name: str) -> None:
    counts = np.array(list(COUNTS[name].values()))
    with pytest.raises(InputError, match="its val is the release's test and its test is the re"):
        checked(name, counts[[0, 2, 1]])
    with pytest.raises(InputError) as caught:
        checked(name, counts[[1, 2, 0]])
    said = str(caught.value)
    assert "its train is the release's val" in said
    assert "data.splits.train=val" in said
    assert "data.splits.test=train" in said


def test_multinli_by_its_sums_and_its_sizes() -> None:
    assert tuple(GROUP_DRO.sum(0)) == tuple(HubMultiNLI.SUMS[ALL])
    sizes = [n for (n,) in HubMultiNLI.SIZES.values()]
    assert sum(sizes) == GROUP_DRO.sum() == 412349
    sums = GROUP_DRO.sum(0)
    parts = np.zeros((3, 6), dtype=int)
    parts[1:, 0] = sizes[1:]
    parts[0] = sums - parts[1:].sum(0)
    checked("hub_multinli", parts)
    with pytest.raises(
        InputError, match=r"its val is .* set data\.splits\.validation_matched=test"
    ):
        checked("hub_multinli", parts[[0, 2, 1]])
    moved = parts.copy()
    moved[0, 0] += 1
    moved[0, 1] -= 1
    with pytest.raises(
        InputError, match="the whole set has 114910 texts of contradiction-on-no neg"
    ):
        checked("hub_multinli", moved)
    with pytest.raises(InputError, match="train has 392701 texts and the release has 392702"):
        checked("hub_multinli", parts - np.eye(3, 6, dtype=int) * [[1], [0], [0]])


def test_other_attributes_of_civilcomments_by_the_sizes_of_splits() -> None:
    counts = np.array(list(civilcomments.BLACK.values()))
    moved = counts + np.array([[5, -5, 0, 0], [0] * 4, [0] * 4])
    checked("hub_civilcomments", moved, attribute="white")
    with pytest.raises(InputError, match="train has 231743 texts of non-toxic-on-no black mention"):
        checked("hub_civilcomments", moved)
    with pytest.raises(InputError, match="train has 269037 texts and the release has 269038"):
        checked("hub_civilcomments", moved - np.array([[1, 0, 0, 0]]), attribute="white")
    with pytest.raises(
        InputError, match=r"data\.attribute='blakc' is unknown: did you mean 'black'"
    ):
        config("hub_civilcomments", root="x", attribute="blakc")


@pytest.mark.parametrize("name", HUB)
def test_a_subset_is_refused_before_any_image_is_written(name: str, tmp_path: Path) -> None:
    made = {**MAKE[name](tmp_path / "data"), "check_counts": True}
    with pytest.raises(InputError, match=r"is not the published set: .* and the release has"):
        config(name, **made).load(tmp_path / "cache")
    assert not (tmp_path / "cache/images").exists()


def test_the_hub_is_not_asked_where_files_are(tmp_path: Path) -> None:
    own = config("hub_waterbirds", root=str(parquet(tmp_path / "set")), check_counts=False)
    assert own.hub is None
    dataset = own.load(tmp_path / "cache")
    counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
    assert_array_equal(counts, SMALL)
    assert config("hub_waterbirds").hub == "grodino/waterbirds"


def test_a_repository_of_several_configurations(tmp_path: Path) -> None:
    """A folder as the hub's: its README says which files each configuration has."""
    MAKE["hub_civilcomments"](tmp_path / "set/raw")
    MAKE["hub_waterbirds"](tmp_path / "set/other")
    (tmp_path / "set/README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: other\n  data_files:\n  - split: train\n    path: other/data/train-*\n"
        "- config_name: raw\n  data_files:\n  - split: train\n    path: raw/data/train-*\n---\n"
    )
    own: dict[str, Any] = {"hub": str(tmp_path / "set"), "check_counts": False}
    dataset = config("hub_civilcomments", **own).load(tmp_path / "cache")
    assert isinstance(dataset, TextDataset)
    assert len(dataset.texts) == sum(map(sum, SMALL))
    with pytest.raises(InputError, match=r"data\.hub=.* can't be read \(.*raww"):
        config("hub_civilcomments", **own, subset="raww").load(tmp_path / "cache")
    with pytest.raises(InputError, match="lacks the column toxicity; name one of image, label"):
        config("hub_civilcomments", **own, subset="other").load(tmp_path / "cache")


def test_persons_of_celeba_are_kept_apart(tmp_path: Path) -> None:
    own = {"root": str(hub_celeba(tmp_path / "set")), "check_counts": False}
    dataset = config("hub_celeba", **own).load(tmp_path / "cache")
    assert set(dataset.identity) == {f"{100 * s + k}" for s in range(3) for k in range(3)}
    assert dataset.groups.names == (
        "not blond-on-female", "not blond-on-male", "blond-on-female", "blond-on-male"
    )  # fmt: skip
    again = config("hub_celeba", **own, pool="all").load(tmp_path / "cache")
    test = again.split == TEST
    names = np.array(again.identity)
    assert not set(names[test]) & set(names[~test])
    counts = (SMALL[0], SMALL[2], SMALL[1])  # val and test exchanged, as one mirror has them
    exchanged = hub_celeba(tmp_path / "other", counts)
    found = config("hub_celeba", **{**own, "root": str(exchanged)}).load(tmp_path / "cache")
    assert_array_equal(np.bincount(found.codes[found.split == TEST], minlength=4), SMALL[1])


def test_shares_of_raters(tmp_path: Path) -> None:
    made = MAKE["hub_civilcomments"](tmp_path / "set")
    dataset = config("hub_civilcomments", **made).load(tmp_path / "cache")
    same = config("civilcomments", **MAKE["civilcomments"](tmp_path / "table")).load(tmp_path)
    assert dataset.groups == same.groups
    assert sorted(zip(dataset.texts, dataset.codes, dataset.split, strict=True)) == sorted(
        zip(same.texts, same.codes, same.split, strict=True)
    )
    articles = config("hub_civilcomments", **made, identity_column="article_id")
    assert len(set(articles.load(tmp_path / "cache").identity)) == 12
    path = next(Path(made["root"]).rglob("*.parquet"))
    table = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "hf")).to_pandas()
    table.loc[4, "toxicity"] = 1.5
    table.to_parquet(path)
    with pytest.raises(InputError, match=r"row 4 of split train: toxicity=1\.5 is no share of rat"):
        config("hub_civilcomments", **made).load(tmp_path / "cache")


def test_pairs_with_a_negation(tmp_path: Path) -> None:
    own = {"root": str(hub_multinli(tmp_path / "set")), "check_counts": False}
    dataset = config("hub_multinli", **own, pool="official").load(tmp_path / "cache")
    counts = [np.bincount(dataset.codes[dataset.split == s], minlength=6) for s in range(3)]
    assert_array_equal(counts, PAIRS)
    assert dataset.groups.class_names == ("contradiction", "entailment", "neutral")
    assert_array_equal(dataset.groups.is_minority, [0, 0, 0, 1, 0, 1])
    again = config("hub_multinli", **own).load(tmp_path / "cache")
    test = again.split == TEST
    premises = np.array(again.texts)
    assert 0 < test.sum() < len(test)
    assert not set(premises[test]) & set(premises[~test])
    said = ("No!", "I know nothing.", "never-ending", "Knothing", "", "a\nno", "NOBODY, he said")
    assert list(has_negation(said)) == [1, 1, 0, 0, 0, 0, 1]
