"""Adult: does a person of the census of 1994 earn over 50,000 dollars, and is that person male?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2s_groups.data.base import TEST, TRAIN
from w2s_groups.data.carried import Carried, joined, read_plain, without
from w2s_groups.data.files.table import Table
from w2s_groups.data.rows import Codes, groups_of
from w2s_groups.design.groups import Groups

NAMES = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week"),
    *("native-country", "income"),
)
INCOMES = {"<=50K": 0, "<=50K.": 0, ">50K": 1, ">50K.": 1}  # the test file ends them with a dot
COUNTS = {"train": (9592, 15128, 1179, 6662), "val": (0,) * 4, "test": (4831, 7604, 590, 3256)}


@dataclass
class Adult(Carried):
    """y: income over 50,000 dollars. a: sex. Source: Becker and Kohavi, UCI, 1996.

    The split is the published one, two thirds and one third at random.
    """

    FILES = ("adult/adult.data", "adult/adult.test")

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return groups_of(("up-to-50K", "over-50K"), ("female", "male"), self.minority)

    def rows(self, root: Path) -> tuple[Table, tuple[Codes, Codes, Codes], Groups]:
        """The whole table, (N,) y, a and split, and the groups."""
        train = read_plain(root / "adult.data", NAMES)
        test = read_plain(root / "adult.test", NAMES, header=("|1x3 Cross validator",))
        table = joined(train, test)
        split = np.repeat([TRAIN, TEST], [len(train.lines), len(test.lines)])
        y = table.codes("income", INCOMES, "of incomes, <=50K or >50K")
        a = table.codes("sex", {"Female": 0, "Male": 1}, "of sexes, Female or Male")
        return without(table, "income"), (y, a, split), self.named_groups()

    def counts(self) -> Mapping[str, Sequence[int]]:
        """Split -> rows of each group, as they were published."""
        return COUNTS
