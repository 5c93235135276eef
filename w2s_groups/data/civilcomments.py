"""CivilComments in the WILDS release: toxic or not, and whether an identity is mentioned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import unknown_name
from w2s_groups.data.base import TextDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.delimited import read_delimited
from w2s_groups.data.files.table import Table
from w2s_groups.data.published import Published, check_counts, check_sizes, find_root
from w2s_groups.data.rows import SPLITS, groups_of
from w2s_groups.design.groups import Groups

TABLE, RELEASE = "all_data_with_identities.csv", "civilcomments_v1.0"
IDENTITIES = (
    *("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white"),
    "identity_any",
)
SIZES = {"train": 269038, "val": 45180, "test": 133782}
BLACK = {  # of (toxicity, black)
    "train": (231738, 6785, 27404, 3111),
    "val": (39006, 1119, 4522, 533),
    "test": (115223, 3335, 13687, 1537),
}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?(e-[0-9]+)?", re.ASCII)


@dataclass
class CivilComments(Published):
    """y: toxic, by half or more of a comment's raters. a: whether half or more saw `attribute`
    mentioned. Source: Borkan et al., 2019; split and selection of Koh et al., arXiv 2012.07421.

    root: the folder with all_data_with_identities.csv or the one above it. attribute: one of the
    eight identities, which overlap, or identity_any. minority: (y, a) pairs; empty means a != y.
    check_counts: refuse a release that is not whole.
    """

    attribute: str = MISSING
    minority: list[list[int]] = MISSING
    check_counts: bool = MISSING

    GET = (
        f"{RELEASE}/{TABLE}, 448,000 rows, as wilds 2.0 packs it; data/civilcomments/README.md "
        "says where from and how to check it"
    )

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return groups_of(("non-toxic", "toxic"), mention_names(self.attribute), self.minority)

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return any((folder / name / TABLE).is_file() for name in ("", RELEASE))

    def read(self, root: Path, cache: Path, progress: Progress) -> TextDataset:
        """All texts below `root` with their official split."""
        if self.attribute not in IDENTITIES:
            raise unknown_name("data.attribute", self.attribute, IDENTITIES)
        remedy = f"get {self.GET}; set data.root to the folder with it"
        folder = find_root(root, TABLE, (RELEASE,), self.name, remedy)
        rated = ("toxicity", self.attribute)
        needed = ("comment_text", "split", *rated, *self.shown.columns)
        table = read_delimited(folder / TABLE, needed, ("comment_text",))
        toxic, mentioned = (_half_or_more(table, column) for column in rated)
        split = table.codes("split", SPLITS, "train, val, test")
        names = tuple(f"line {line}" for line in table.lines)
        groups = self.named_groups()
        texts, known = table.columns["comment_text"], self.shown.names(table)
        dataset = TextDataset(
            self.name, toxic, mentioned, split, groups, files=names, texts=texts, **known
        )
        if self.check_counts and self.attribute == "black":
            check_counts(dataset, BLACK)
        elif self.check_counts:
            check_sizes(dataset, SIZES)
        return dataset


def mention_names(attribute: str) -> tuple[str, str]:
    """Names of the attribute's codes: one of IDENTITIES not mentioned, mentioned."""
    word = attribute.replace("_", " ").removeprefix("identity ")
    return f"no {word} mention", f"{word} mention"


def _half_or_more(table: Table, column: str) -> NDArray[np.int64]:
    """(N,) whether a column's share of raters, 0 to 1, is at least a half."""
    texts = table.columns[column]
    codes = {}
    for text in set(texts):
        value = float(text) if _NUMBER.fullmatch(text) else -1.0
        if 0 <= value <= 1:
            codes[text] = int(value >= 0.5)
    return table.codes(column, codes, "of shares of raters, 0 to 1")
