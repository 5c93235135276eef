"""The papers of methods: links to them, and BibTeX."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple

from w2s_groups.methods import METHODS


class Paper(NamedTuple):
    """An entry of papers.toml."""

    key: str
    pattern: str
    url: str
    author: str
    title: str
    year: int


def _papers() -> tuple[Paper, ...]:
    text = files(__package__).joinpath("papers.toml").read_text(encoding="utf-8")
    return tuple(Paper(key, **entry) for key, entry in tomllib.loads(text).items())


PAPERS = _papers()


def of_method(base: str) -> list[Paper]:
    """Papers that the sources of a method name, its own first; empty for one of this suite."""
    sources = METHODS[base].sources if base in METHODS else ()
    found = [
        paper for source in sources for paper in PAPERS if re.search(rf"\b{paper.pattern}", source)
    ]
    return list(dict.fromkeys(found))


def bibtex(bases: Iterable[str]) -> str:
    """BibTeX of the papers of methods and of the two papers that this suite is about."""
    keys = {paper.key for base in bases for paper in of_method(base)}
    keys |= {paper.key for paper in PAPERS[:2]}
    return "\n".join(_entry(paper) for paper in PAPERS if paper.key in keys)


def _entry(paper: Paper) -> str:
    fields = {"author": paper.author, "title": f"{{{paper.title}}}"}
    fields |= {"year": str(paper.year), "url": paper.url}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{paper.key},", *lines, "}", ""])
