"""The long table: one row a record. Its columns, what they mean, and its text on disk."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core import spreadsheet
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
SPLITS = frozenset(
    ("test", "validation", "unlabelled", "kept", "labelled", "upweighted", "agreement", "fit")
)
ACCURACY, RISK = "accuracy", "risk"  # of a class, of a numeric target: a run has one of the two
RISK_ERROR = "risk_error"
# At a step of a fine-tuned fit -> the largest value (finetuning.laziness).
LAZINESS = {"movement": float("inf"), "agreement": 1.0, "alignment": 1.0}
STEP = "step "  # begins the group of these records
METRICS = frozenset((ACCURACY, RISK, RISK_ERROR, "fraction", "count", "l2", *LAZINESS))
SETUP = ["data", "teacher", "student", "n_l", "n_u"]
POINT = ["eta_l", "eta_u"]
RUN = ["seed", "fold", "audit"]
RECORD = [*SETUP, *POINT, *RUN, "method", "split", "metric", "group"]
_ORDER = [*RECORD[:-1], "y", "a", "group"]
_Key = tuple[NDArray[np.int64], int]  # ranks of the rows by one column, and their number
# Of cells, files and tables that lack the column: those of one split, and of methods trained here.
DEFAULTS: dict[str, Any] = {"fold": -1, "audit": "", "submitted": False}
# Floats to the last bit: pandas 3.1 reads them so, and warns of the argument that asks others to.
_PANDAS = tuple(map(int, version("pandas").split(".")[:2]))
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if _PANDAS < (3, 1) else {}


def filled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that a table of one split, or of no submitted method, may lack."""
    lacking = {name: value for name, value in DEFAULTS.items() if name not in table}
    return table.assign(**lacking) if lacking else table


def canonical(table: pd.DataFrame) -> pd.DataFrame:
    """The table with exact columns and types, in one row order whatever order it came in.

    Raises InputError on a missing column, a type that does not fit or a record given twice.
    """
    table = filled(table)
    lacking = [name for name in COLUMNS if name not in table.columns]
    if lacking:
        raise InputError(f"the result table lacks the columns {', '.join(lacking)}: rebuild it")
    flags = table["minority"]
    if flags.dtype != bool and not flags.map(lambda f: isinstance(f, bool | np.bool_)).all():
        raise InputError("the result table's minority column must hold True or False")
    try:
        typed = {name: _typed(table[name], kind) for name, (kind, _) in COLUMNS.items()}
    except (ValueError, TypeError) as error:
        raise InputError(f"the result table has a column of the wrong type: {error}") from error
    held = {name: values for name, (values, _) in typed.items()}
    keys = {name: typed[name][1] or _ranks(held[name]) for name in _ORDER}
    order = _joined([keys[name] for name in _ORDER])
    if (order[1:] < order[:-1]).any():
        first = np.argsort(order, kind="stable")
        held = {name: column[first] for name, column in held.items()}
        keys = {name: (codes[first], n) for name, (codes, n) in keys.items()}
    fixed = pd.DataFrame(held, copy=False)
    twice = pd.Series(_joined([keys[name] for name in RECORD])).duplicated()
    if twice.any():
        row = fixed.loc[twice].iloc[0]
        raise InputError(
            "the result table holds a record twice ("
            + ", ".join(f"{name}={row[name]}" for name in RECORD)
            + "): results under different settings are mixed; report each setting by itself"
        )
    return fixed


def _typed(column: pd.Series, kind: str) -> tuple[NDArray[Any], _Key | None]:
    """The column with its type, and of texts, each of which is converted once, their key."""
    if kind != "str":
        return column.to_numpy(dtype=kind), None
    codes, distinct = _coded(column)
    texts = pd.Series(distinct).astype("str").to_numpy(dtype=object)
    ranks, n = _ranks(texts)
    return texts[codes], (ranks[codes], n)


def _ranks(column: NDArray[Any]) -> _Key:
    """Position of each entry among the distinct ones in their order, and the number of these."""
    codes, distinct = pd.factorize(column, sort=True, use_na_sentinel=False)
    return codes.astype(np.int64), len(distinct)


def _coded(column: pd.Series) -> tuple[NDArray[np.int64], Any]:
    """Position of each entry among the distinct ones, and these, NaN among them."""
    codes, distinct = pd.factorize(column)  # seconds faster where nothing is missing
    if len(codes) and codes.min() < 0:
        codes, distinct = pd.factorize(column, use_na_sentinel=False)
    return codes.astype(np.int64), distinct


def _joined(keys: Sequence[_Key]) -> NDArray[np.int64]:
    """Numbers in the order of rows that are compared by one key after the other."""
    joined, most = np.zeros(len(keys[0][0]), dtype=np.int64), 1
    for codes, n in keys:
        if most * n >= 2**63:
            joined, most = _ranks(joined)
        joined, most = joined * n + codes, most * n
    return joined


def to_csv(table: pd.DataFrame) -> str:
    """Text of the table; from_csv gives back the same table, floats to the last bit.

    Raises InputError for a name, as of a stored cell of someone else, that a spreadsheet would run.
    """
    whole = canonical(table)
    unused = [name for name, default in DEFAULTS.items() if (whole[name] == default).all()]
    shown = whole.drop(columns=unused)
    spreadsheet.check(shown, "remove the cells that hold it")
    return csv_text(shown)


def csv_text(table: pd.DataFrame) -> str:
    """What pandas' to_csv gives, in a fifth of its time for columns with few distinct entries.

    The text of neighbouring columns is made once for each of their distinct rows.
    """
    blocks: list[tuple[NDArray[np.int64], list[str]]] = []
    for name in table:
        codes, texts = _texts(table[name])
        if blocks:
            before, left = blocks[-1]
            both, distinct = pd.factorize(before * max(len(texts), 1) + codes)
            if len(distinct) <= max(len(table) // 16, 1):
                one, two = np.divmod(distinct, len(texts)) if len(texts) else (distinct, distinct)
                texts = [f"{left[a]},{texts[b]}" for a, b in zip(one, two, strict=True)]
                blocks[-1] = both.astype(np.int64), texts
                continue
        blocks.append((codes, texts))
    lines = zip(*(np.array(t, dtype=object)[codes].tolist() for codes, t in blocks), strict=True)
    return "\n".join([",".join(map(str, table.columns)), *map(",".join, lines), ""])


def _texts(column: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Position of each entry among the distinct ones, and the text of each of these in CSV."""
    codes, distinct = _coded(column)
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    texts = []
    for entry in distinct.tolist():
        out.seek(0)
        out.truncate()
        write(("" if entry != entry else entry, ""))  # the second: an empty line would be quoted
        texts.append(out.getvalue()[:-2])
    return codes, texts


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
