"""The table of docs/theory.md names functions and tests that exist and equations that it states."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/theory.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| `([\w.]+)` \| `([\w/.]+)` \|$", TEXT, re.MULTILINE)


def test_the_table_is_there() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize(("function", "test"), [row[1:] for row in ROWS])
def test_function_and_test_exist(function: str, test: str) -> None:
    module, _, name = function.rpartition(".")
    assert getattr(importlib.import_module(module), name).__doc__
    assert name in (ROOT / test).read_text(encoding="utf-8")


def test_equations_cited_in_the_code_are_numbered_in_the_text() -> None:
    cited = set()
    for path in (ROOT / "w2s_groups/theory").glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "quation" in line or "theory.md" in line:
                cited |= set(re.findall(r"\b[1-5]\.[1-9]\b(?!\d)", line))
    stated = set(re.findall(r"\(([1-5]\.[1-9])\)\s*$", TEXT, re.MULTILINE))
    assert cited
    assert cited - stated == set()
