"""Names of classes and attributes, taken from the values of a column, and what is refused there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from w2s_groups.core.errors import InputError
from w2s_groups.data.files.table import Table, is_missing

_MOST = 1000  # codes that a column of integers may stand for
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,8})")
_NAMES = {"y": "class_names", "a": "attribute_names"}  # letter -> setting that lists the names


def named(
    table: Table, column: str, given: Sequence[str] | None, letter: str, settings: str = "data."
) -> tuple[Sequence[str], Table]:
    """Names of a column's codes, and the table that has it in names or codes that fit them.

    given: the names; None takes them from the column's values. letter: y or a. settings: what
    stands before class_names and attribute_names where the user sets them.
    """
    if given is not None:
        return given, table
    names, codes = _coding(table, column, letter, settings)
    return names, replace(table, columns={**table.columns, column: codes})


def _coding(
    table: Table, column: str, letter: str, settings: str
) -> tuple[list[str], tuple[str, ...]]:
    """Names for the values of a column, and the column as codes.

    Whole numbers from 0 are codes already: one that no row has is an absent class, and the names
    are y0, y1, ... Anything else is a name; whole numbers are sorted as such.
    """
    texts = table.columns[column]
    values = set(texts)
    _refuse_missing(table, column, settings + _NAMES[letter])
    _refuse_spellings(table, column, settings + _NAMES[letter])
    whole = all(map(_WHOLE.fullmatch, values))
    names = sorted(values, key=int if whole else None)
    if whole and names[0] == "0" and int(names[-1]) < _MOST:
        names = [str(code) for code in range(max(int(names[-1]) + 1, 2))]
    if not 2 <= len(names) <= _MOST:
        raise InputError(
            f"{table.path}: column {column} has values from {names[0]!r} to {names[-1]!r}, and 2 "
            f"to {_MOST} classes can be distinguished; name another column or other values"
        )
    code = {name: str(n) for n, name in enumerate(names)}
    shown = [f"{letter}{name}" for name in names] if whole else names
    return shown, tuple(code[text] for text in texts)


def _refuse_spellings(table: Table, column: str, field: str) -> None:
    """InputError where values of a column may be one label: 1 and 1.0, Cat and cat, 0 and cat."""
    texts = table.columns[column]
    numbers = set(filter(_WHOLE.fullmatch, set(texts)))
    words = {text for text in texts if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text)}
    if numbers and words:
        row = next(row for row, text in enumerate(texts) if text in words)
        raise InputError(
            f"{table.where(row)}: {column}={texts[row]!r} is a name, and others are numbers such "
            f"as {min(numbers)}, which may be codes of the same classes; write all in one way, or "
            f"list all as names in {field}"
        )
    first: dict[str, str] = {}
    for text in sorted(set(texts)):
        plain = f"{float(text):g}" if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text) else text
        other = first.setdefault(" ".join(plain.casefold().split()), text)
        if other != text:
            row = texts.index(text)
            raise InputError(
                f"{table.where(row)}: {column}={text!r} and {other!r} read as one label in two "
                f"spellings; write it in one way, or list both as names in {field}"
            )


def _refuse_missing(table: Table, column: str, field: str) -> None:
    """InputError where a label of a column says that there is none. field: where names go."""
    texts = table.columns[column]
    values = set(texts)
    if "" in values:
        raise InputError(f"{table.where(texts.index(''))}: {column} is empty; fill it in")
    below = {text for text in values if re.fullmatch(r"-[0-9]+(\.0*)?", text)}
    if not below or (not {"0", "0.0"} & values and all(map(_WHOLE.fullmatch, values))):
        below = set()  # -1 and 1 are two classes; -1 next to 0 or to names is a label not given
    for row, text in enumerate(texts):
        if is_missing(text) or text in below:
            more = texts.count(text) - 1
            remedy = (
                "give each class a name in the table, or take the rows out"
                if text in below
                else f"take the rows out, or list all classes in {field} if it is one"
            )
            raise InputError(
                f"{table.where(row)}{f' and {more} more' if more else ''}: {column}={text!r} "
                f"reads as a missing label; {remedy}"
            )
