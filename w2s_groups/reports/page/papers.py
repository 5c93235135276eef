"""The papers of methods: links to them, and BibTeX."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple

from w2s_groups.results.method_facts import facts


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
    known = facts(base)
    found = []
    for number, source in enumerate(() if known is None else known.sources, 1):
        papers = [paper for paper in PAPERS if re.search(rf"\b{paper.pattern}", source)]
        found += papers or _of_plugin(f"{base}{number}", source)
    return list(dict.fromkeys(found))


def _of_plugin(key: str, source: str) -> list[Paper]:
    """A paper that papers.toml lacks, of a source that names an address."""
    match = re.search(r"https?://[^\s,;]+", source)
    if match is None:
        return []
    title = source.replace(match[0], "").strip(" ,;")
    return [Paper(key, "", match[0], "", title, 0)]


def bibtex(bases: Iterable[str]) -> str:
    """BibTeX of the papers of methods and of the two papers that this suite is about."""
    named = {*PAPERS[:2], *(paper for base in bases for paper in of_method(base))}
    others = sorted(named - set(PAPERS))
    return "\n".join(map(_entry, [*(paper for paper in PAPERS if paper in named), *others]))


def _entry(paper: Paper) -> str:
    fields = {"author": paper.author, "title": f"{{{paper.title}}}"}
    fields |= {"year": str(paper.year or ""), "url": paper.url}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{paper.key},", *lines, "}", ""])
