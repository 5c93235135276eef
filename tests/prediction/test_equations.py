"""The table of docs/prediction.md names what exists, and the page states every equation."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/prediction.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("| equation | function | test |")[2].partition("\n\n")[0]
ROWS = [row.split(" | ") for row in TABLE.splitlines() if "`" in row]


def test_every_equation_has_a_row() -> None:
    stated = {int(n) for n in re.findall(r"\((\d+)\)\s*$", TEXT, re.MULTILINE)}
    listed: set[int] = set()
    for row in ROWS:
        first, _, last = row[0].removeprefix("| ").partition("-")
        if first.isdigit():
            listed |= set(range(int(first), int(last or first) + 1))
    assert stated >= set(range(1, 22))
    assert listed == set(range(2, 22))  # (1) defines a head


@pytest.mark.parametrize("row", ROWS, ids=[row[0].removeprefix("| ") for row in ROWS])
def test_functions_and_tests_exist(row: list[str]) -> None:
    for function in re.findall(r"`([\w.]+)`", row[1]):
        module, _, name = function.rpartition(".")
        assert hasattr(importlib.import_module(f"w2s_groups.prediction.{module}"), name)
    for test in re.findall(r"`(test_\w+\.py)`", row[2]):
        assert (ROOT / "tests/prediction" / test).is_file()
