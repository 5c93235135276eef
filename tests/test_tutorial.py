"""docs/tutorial.ipynb runs from its first cell to its last, and gives the numbers that it shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
LARGEST = 300_000  # bytes
_NUMBER = re.compile(r"[-+]?\d+\.\d+")


def outputs(notebook: Any) -> list[list[Any]]:
    """Of each code cell, in order."""
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def text(output: Any) -> str:
    return str(output.get("data", {}).get("text/plain", output.get("text", "")))


def test_it_is_small_and_names_no_machine() -> None:
    raw = NOTEBOOK.read_text(encoding="utf-8")
    assert len(raw.encode()) < LARGEST
    shown = " ".join(text(one) for cell in outputs(nbformat.reads(raw, 4)) for one in cell)
    assert not re.search(r"/(work|home|root|tmp|usr)/", shown)
    assert not any(
        one.output_type == "error" for cell in outputs(nbformat.reads(raw, 4)) for one in cell
    )


def test_it_gives_what_it_shows(tmp_path: Path) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("the photographs are Debian packages")
    kept = nbformat.read(NOTEBOOK, 4)
    cache = ROOT / ".cache"  # photographs and features that an earlier run left
    cache.mkdir(exist_ok=True)
    (tmp_path / ".cache").symlink_to(cache)
    fresh = nbformat.read(NOTEBOOK, 4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(fresh, timeout=600, kernel_name="python3", resources=resources).execute()
    for old, new in zip(outputs(kept), outputs(fresh), strict=True):
        assert [one.output_type for one in old] == [one.output_type for one in new]
        for one, two in zip(old, new, strict=True):
            assert set(one.get("data", ())) == set(two.get("data", ()))
            assert _NUMBER.sub("", text(one)).split() == _NUMBER.sub("", text(two)).split()
            numbers = (np.array(_NUMBER.findall(text(part)), float) for part in (one, two))
            np.testing.assert_allclose(*numbers, atol=0.02)  # features differ by rounding
