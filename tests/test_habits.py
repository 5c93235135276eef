"""Files and functions stay small, and words that people read stay plain."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import w2s_groups

PACKAGE = Path(w2s_groups.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 60

# Words of no field, and what stands in their place.
WORDS = {
    r"beside": "next to, on, with",
    r"alone": "only (for `only`)",
    r"surest": "most confident",
    r"told (?:nothing|about|groups|the groups|of)": "uses (no) group labels",
    r"is no (?:folder|file|number|directory)": "is not a directory, a file, a number",
    r"laid|lays|lay them": "plotted, placed",
    r"looks after": "inspects",
    r"says of": "predicts for, says about",
    r"whatever (?:of|it)": "the cells that",
    r"what becomes of": "a plain name",
}
BANNED = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_stay_short(path: Path) -> None:
    n = len(path.read_text(encoding="utf-8").splitlines())
    assert n <= LONGEST_FILE, f"{n} lines: divide the file"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{name_of(path)}:{node.name}"
            assert n <= LONGEST_FUNCTION, f"{name} has {n} lines"


def read_by_people(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and strings of Python, comments of YAML, all of a page without its code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                yield token.start[0], token.string
        return
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.startswith("```")
        if path.suffix == ".yaml":
            yield number, line.partition("#")[2]
        elif not fenced:
            yield number, line


READ = [
    *MODULES, *sorted((ROOT / "conf").rglob("*.yaml")), *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "data").glob("*/README.md")), *sorted(ROOT.glob("*.md")), ROOT / "Makefile",
]  # fmt: skip


@pytest.mark.parametrize("path", READ, ids=name_of)
def test_words_are_plain(path: Path) -> None:
    said = [f"{name_of(path)}:{number}: {match[0]}" for number, text in read_by_people(path)
            for match in BANNED.finditer(text)]  # fmt: skip
    assert not said, said
