"""COMPAS: is a person of Broward County arrested again within two years, and of which race?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.base import TRAIN
from w2s_groups.data.carried import Carried, read_plain
from w2s_groups.data.files.table import Table
from w2s_groups.data.rows import Codes, groups_of
from w2s_groups.design.groups import Groups

HEADER = (
    *("id", "name", "first", "last", "compas_screening_date", "sex", "dob", "age", "age_cat"),
    *("race", "juv_fel_count", "decile_score", "juv_misd_count", "juv_other_count"),
    *("priors_count", "days_b_screening_arrest", "c_jail_in", "c_jail_out", "c_case_number"),
    *("c_offense_date", "c_arrest_date", "c_days_from_compas", "c_charge_degree"),
    *("c_charge_desc", "is_recid", "r_case_number", "r_charge_degree", "r_days_from_arrest"),
    *("r_offense_date", "r_charge_desc", "r_jail_in", "r_jail_out", "violent_recid"),
    *("is_violent_recid", "vr_case_number", "vr_charge_degree", "vr_offense_date"),
    *("vr_charge_desc", "type_of_assessment", "decile_score", "score_text", "screening_date"),
    *("v_type_of_assessment", "v_decile_score", "v_score_text", "v_screening_date"),
    *("in_custody", "out_custody", "priors_count", "start", "end", "event", "two_year_recid"),
)
# What was known of a person when COMPAS was asked; its scores and all later events are left out.
INPUTS = (
    *("sex", "age", "age_cat", "race", "juv_fel_count", "juv_misd_count", "juv_other_count"),
    *("priors_count", "c_charge_degree", "c_charge_desc"),
)
ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    "race": ("Caucasian", "African-American"),
    "sex": ("Female", "Male"),
}
COUNTS = {"race": (1281, 1514, 822, 1661), "sex": (762, 2601, 413, 2396)}


@dataclass
class Compas(Carried):
    """y: arrested again within two years. a: `attribute`, race or sex. Source: ProPublica, 2016.

    The rows are those that ProPublica kept; with attribute=race, of the two largest races. There is
    no published split: pool=all makes one.
    """

    attribute: str = MISSING

    FILES = ("compas/compas-scores-two-years.csv",)

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        if self.attribute not in ATTRIBUTES:
            raise unknown_name("data.attribute", self.attribute, ATTRIBUTES)
        names = ATTRIBUTES[self.attribute]
        return groups_of(("not-rearrested", "rearrested"), names, self.minority)

    def rows(self, root: Path) -> tuple[Table, tuple[Codes, Codes, Codes], Groups]:
        """The rows that are kept, (N,) y, a and split, and the groups."""
        groups = self.named_groups()
        names = [f"{name} {HEADER[:k].count(name)}" if name in HEADER[:k] else name
                 for k, name in enumerate(HEADER)]  # fmt: skip
        table = read_plain(root / "compas-scores-two-years.csv", names, header=HEADER)
        values = groups.attribute_names
        keep = _kept(table)
        if self.attribute == "race":
            keep = [row for row in keep if table.columns["race"][row] in values]
        lines = tuple(table.lines[row] for row in keep)
        columns = {name: tuple(map(texts.__getitem__, keep)) for name, texts in
                   table.columns.items() if name in (*INPUTS, "two_year_recid")}  # fmt: skip
        table = replace(table, lines=lines, columns=columns)
        y = table.codes("two_year_recid", {"0": 0, "1": 1}, "0 or 1")
        a = table.codes(self.attribute, {values[0]: 0, values[1]: 1}, f"of {' and '.join(values)}")
        inputs = {name: table.columns[name] for name in INPUTS}
        return replace(table, columns=inputs), (y, a, np.full(len(y), TRAIN)), groups

    def counts(self) -> Mapping[str, Sequence[int]]:
        """Split -> rows of each group, as they were published."""
        return {"train": COUNTS[self.attribute], "val": (0,) * 4, "test": (0,) * 4}


def _kept(table: Table) -> list[int]:
    """Rows of ProPublica's analysis: charged within 30 days of the screening, with a known outcome,
    with more than a traffic offence, with a score.
    """
    days = table.columns["days_b_screening_arrest"]
    try:
        near = [abs(float(text)) <= 30 if text else False for text in days]
    except ValueError:
        raise InputError(
            f"{table.path}: days_b_screening_arrest holds a value that is not a number; restore "
            "the file"
        ) from None
    kept = zip(
        near,
        (text != "-1" for text in table.columns["is_recid"]),
        (text != "O" for text in table.columns["c_charge_degree"]),
        (text != "N/A" for text in table.columns["score_text"]),
        strict=True,
    )
    return [row for row, conditions in enumerate(kept) if all(conditions)]
