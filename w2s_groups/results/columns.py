"""The long table: one row a record. Its columns, what they mean, and its text on disk."""

from __future__ import annotations

import io
from importlib.metadata import version
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd

COLUMNS: dict[str, tuple[str, str]] = {
    "cell": ("str", "hash key of the cell's config, seed included"),
    "data": ("str", "dataset"),
    "teacher": ("str", "weak backbone"),
    "student": ("str", "strong backbone"),
    "n_l": ("int64", "size of the labelled set"),
    "n_u": ("int64", "size of the unlabelled set"),
    "eta_l": ("float64", "minority fraction of the labelled set"),
    "eta_u": ("float64", "minority fraction of the unlabelled set"),
    "seed": ("int64", "seed of the cell's draws"),
    "fold": ("int64", "number of the split into pool and test; -1: the data's own"),
    "audit": (
        "str",
        "empty; of cells that measure how much the pool matters: again, identities 0, identities "
        "1, places 0, places 1 (halves of the pool)",
    ),
    "method": ("str", "teacher, w2s, selective, baseline, ceiling, ..."),
    "split": (
        "str",
        "test; validation; unlabelled, kept: pseudolabels and the truth; labelled: counts, and "
        "accuracy of variants; upweighted: rows of the unlabelled set that weigh more; agreement: "
        "of decisions on the test set; fit: what was chosen or measured on its way",
    ),
    "group": (
        "str",
        "such as bird-on-water; of no group, y = a = -1: all, the other method of an agreement, or "
        "a step of a fit, such as step 40",
    ),
    "y": ("int64", "the group's class"),
    "a": ("int64", "the group's attribute"),
    "minority": ("bool", "whether the group is against the correlation"),
    "metric": (
        "str",
        "accuracy; risk: mean squared error of a numeric target, in its unit squared; risk_error: "
        "standard error of that mean over the rows; fraction: "
        "share of the kept set, or of test rows decided alike; count: images; l2: as chosen; "
        "movement, agreement, alignment: of a step with the start of its fit",
    ),
    "value": ("float64", "NaN with n = 0: the group is absent; NaN with n > 0: the run failed"),
    "n": ("int64", "images of the group"),
    "submitted": ("bool", "whether the predictions of the method were made elsewhere"),
}
ACCURACY, RISK = "accuracy", "risk"  # of a class, of a numeric target: a run has one of the two
RISK_ERROR = "risk_error"
# At a step of a fine-tuned fit -> the largest value (finetuning.laziness).
LAZINESS = {"movement": float("inf"), "agreement": 1.0, "alignment": 1.0}
STEP = "step "  # begins the group of these records
SETUP = ["data", "teacher", "student", "n_l", "n_u"]
POINT = ["eta_l", "eta_u"]
RUN = ["seed", "fold", "audit"]
RECORD = [*SETUP, *POINT, *RUN, "method", "split", "metric", "group"]
# Of cells, files and tables that lack the column: those of one split, and of methods trained here.
DEFAULTS: dict[str, Any] = {"fold": -1, "audit": "", "submitted": False}
# Floats to the last bit: pandas 3.1 reads them so, and warns of the argument that asks others to.
_PANDAS = tuple(map(int, version("pandas").split(".")[:2]))
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if _PANDAS < (3, 1) else {}


def filled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that a table of one split, or of no submitted method, may lack."""
    return table.assign(**{name: v for name, v in DEFAULTS.items() if name not in table})


def canonical(table: pd.DataFrame) -> pd.DataFrame:
    """The table with exact columns and types, in one row order whatever order it came in.

    Raises InputError on a missing column, a type that does not fit or a record given twice.
    """
    table = filled(table)
    lacking = [name for name in COLUMNS if name not in table.columns]
    if lacking:
        raise InputError(f"the result table lacks the columns {', '.join(lacking)}: rebuild it")
    if table["minority"].map(lambda flag: not isinstance(flag, bool | np.bool_)).any():
        raise InputError("the result table's minority column must hold True or False")
    try:
        fixed = table[list(COLUMNS)].astype({name: kind for name, (kind, _) in COLUMNS.items()})
    except (ValueError, TypeError) as error:
        raise InputError(f"the result table has a column of the wrong type: {error}") from error
    fixed = fixed.sort_values(["data", *RECORD[1:-1], "y", "a", "group"], kind="stable")
    fixed = fixed.reset_index(drop=True)
    twice = fixed.duplicated(RECORD)
    if twice.any():
        row = fixed.loc[twice].iloc[0]
        raise InputError(
            "the result table holds a record twice ("
            + ", ".join(f"{name}={row[name]}" for name in RECORD)
            + "): results under different settings are mixed; report each setting by itself"
        )
    return fixed


def to_csv(table: pd.DataFrame) -> str:
    """Text of the table; from_csv gives back the same table, floats to the last bit."""
    whole = canonical(table)
    unused = [name for name, default in DEFAULTS.items() if (whole[name] == default).all()]
    return whole.drop(columns=unused).to_csv(index=False, lineterminator="\n")


def from_csv(text: str, name: str = "results.csv") -> pd.DataFrame:
    """The canonical table in `text`; `name` is for the error."""
    try:
        table = pd.read_csv(
            io.StringIO(text),
            dtype={column: np.dtype(kind) for column, (kind, _) in COLUMNS.items()},
            keep_default_na=False,  # a group may be called "NA"
            na_values={"value": [""]},
            **EXACT,
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} is not a result table: {error}") from error
    return canonical(table)
