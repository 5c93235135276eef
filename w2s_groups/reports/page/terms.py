"""The terms of a report and their meanings, one click away from where they stand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple


class Term(NamedTuple):
    """A term of the report: its anchor, heading, pattern in text, and meaning.

    of_risk: its meaning where risks are measured, if that is another.
    """

    key: str
    name: str
    pattern: str
    meaning: str
    of_risk: str = ""


class Piece(NamedTuple):
    """Text, then a term with the marks that must stay on its line; key is empty for none."""

    before: str
    opening: str = ""
    key: str = ""
    word: str = ""
    closing: str = ""


def _glossary() -> tuple[Term, ...]:
    text = files(__package__).joinpath("glossary.toml").read_text(encoding="utf-8")
    return tuple(Term(key, **entry) for key, entry in tomllib.loads(text).items())


TERMS = _glossary()
_ANY = re.compile(r"(?<![\w_])(?:" + "|".join(f"(?P<{t.key}>{t.pattern})" for t in TERMS) + r")\b")


def pieces(text: str, seen: set[str]) -> list[Piece]:
    """`text` cut at the first use of each term that is not in `seen`, to which they are added."""
    return list(_pieces(text, seen))


def _pieces(text: str, seen: set[str]) -> Iterator[Piece]:
    end = 0
    for match in _ANY.finditer(text):
        key = str(match.lastgroup)
        if key in seen or match.start() < end:
            continue
        seen.add(key)
        # Marks next to the word stay on its line: a button would let them go.
        before, after = match.start(), match.end()
        while before > end and text[before - 1] in "([":
            before -= 1
        while after < len(text) and text[after] in ",.;:)]'":
            after += 1
        opening, closing = text[before : match.start()], text[match.end() : after]
        yield Piece(text[end:before], opening, key, match[0], closing)
        end = after
    yield Piece(text[end:])


def of_header(header: str) -> Term | None:
    """The term that a column's help button explains."""
    return next((term for term in TERMS if re.search(rf"(?:{term.pattern})\b", header)), None)


def glossary(noun: str, risks: bool = False) -> list[Term]:
    """All terms. noun: what one sample is called. risks: of a report on a numeric target."""
    meant = [term.of_risk if risks and term.of_risk else term.meaning for term in TERMS]
    return [
        term._replace(meaning=meaning.replace("{noun}", noun))
        for term, meaning in zip(TERMS, meant, strict=True)
    ]
