"""CSV files that a spreadsheet opens as they are: no text in them is run as a formula.

Source: the OWASP page on CSV injection. Spreadsheets run what begins with one of = + - @, or with
their wide forms of East Asian keyboards, and take a tab or a line break before it away.
"""

from __future__ import annotations

from collections.abc import Iterable

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd

MARKS = "=+-@＝＋－＠"


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could run a text. A negative number, and marks only, are no formula."""
    try:
        float(text)
    except ValueError:
        return bool(text[:1] in (*MARKS, "\t", "\r", "\n") and text.strip(MARKS + " "))
    return False


def to_csv(table: pd.DataFrame, remedy: str, float_format: str | None = None) -> str:
    """Text of a table without its index; InputError with `remedy` for a text that is a formula."""
    check(table, remedy)
    return table.to_csv(index=False, lineterminator="\n", float_format=float_format)


def check(table: pd.DataFrame, remedy: str) -> None:
    """InputError with `remedy` for the first text of a table that is a formula."""
    for name in table.columns[[kind.kind not in "biuf" for kind in table.dtypes]]:
        refuse(str(name), table[name].unique(), remedy)


def refuse(column: str, values: Iterable[object], remedy: str) -> None:
    """InputError with `remedy` for the first of a column's values that is a formula."""
    found = next((v for v in values if isinstance(v, str) and is_formula(v)), None)
    if found is not None:
        raise InputError(
            f"{column}={found[:60]!r} begins as a formula, and a spreadsheet that opens the table "
            f"could run it; {remedy}"
        )


def as_text(value: str) -> str:
    """The text, behind an apostrophe where it is a formula, as spreadsheets mark a text."""
    return f"'{value}" if is_formula(value) else value
