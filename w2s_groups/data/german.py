"""German credit: is a loan of the 1970s bad, and is the person 25 or younger?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TRAIN
from w2s_groups.data.carried import Carried, read_plain, without
from w2s_groups.data.files.table import Table
from w2s_groups.data.rows import Codes, groups_of
from w2s_groups.design.groups import Groups

NAMES = (
    *("status", "duration", "credit_history", "purpose", "credit_amount", "savings"),
    *("present_employment", "installment_rate", "status_sex", "other_debtors"),
    *("present_residence_since", "property", "age", "installment_plans", "housing"),
    *("number_of_existing_credits", "job", "number_of_people_liable_for", "telephone"),
    *("foreign_worker", "credit"),
)
YOUNG = 25  # years, and younger
COUNTS = {"train": (590, 110, 220, 80), "val": (0,) * 4, "test": (0,) * 4}


@dataclass
class German(Carried):
    """y: bad credit. a: 25 years or younger. Source: Hofmann, UCI (Statlog), 1994.

    The set has no published split: pool=all makes one.
    """

    FILES = ("german/german.data",)

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return groups_of(("good", "bad"), ("over-25", "25-or-younger"), self.minority)

    def rows(self, root: Path) -> tuple[Table, tuple[Codes, Codes, Codes], Groups]:
        """The whole table, (N,) y, a and split, and the groups."""
        table = read_plain(root / "german.data", NAMES, delimiter=" ")
        ages = set(table.columns["age"])
        odd = sorted(text for text in ages if not (text.isascii() and text.isdigit()))
        if odd:
            row = table.columns["age"].index(odd[0])
            raise InputError(f"{table.where(row)}: age={odd[0]!r} is not in years; correct it")
        y = table.codes("credit", {"1": 0, "2": 1}, "1 (good) or 2 (bad)")
        a = table.codes("age", {text: int(int(text) <= YOUNG) for text in ages}, "of ages")
        return without(table, "credit"), (y, a, np.full(len(y), TRAIN)), self.named_groups()

    def counts(self) -> Mapping[str, Sequence[int]]:
        """Split -> rows of each group, as they were published."""
        return COUNTS
