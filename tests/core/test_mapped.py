"""Rows of matrices in files: the right ones, in the order of the file, and given back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from w2s_groups.core import mapped
from w2s_groups.core.seeds import stream

RNG = stream(0, "test/mapped")
X = RNG.standard_normal((5000, 3)).astype(np.float32)


def resident(name: str) -> int:
    """Bytes of a mapped file that this process holds."""
    lines, inside = Path("/proc/self/smaps").read_text().splitlines(), False
    total = 0
    for line in lines:
        if "-" in line.split(" ")[0] and ":" not in line.split(" ")[0]:
            inside = line.endswith(name)
        elif inside and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.mark.parametrize("step", [1, 2, 40])
def test_rows_are_those_that_were_asked_for(tmp_path: Path, step: int) -> None:
    np.save(tmp_path / "x.npy", X)
    file = np.load(tmp_path / "x.npy", mmap_mode="r")
    rows = np.arange(3, 5000, step)
    for matrix in (X, file):
        np.testing.assert_array_equal(mapped.take(matrix, rows), X[rows])
    assert not mapped.take(file, rows[:0]).size


def test_blocks_hold_every_row_once_in_the_order_of_the_file() -> None:
    order = RNG.permutation(5000)
    stored = mapped.Stored(X, order, np.zeros(3), np.full(3, 2.0))
    rows = np.flatnonzero(RNG.random(5000) < 0.3)
    found, places = np.full((len(rows), 3), np.nan, np.float32), []
    for where, block in mapped.blocks(stored, rows, 64):
        assert len(block) <= 64
        found[where] = block
        places += order[rows[where]].tolist()
    np.testing.assert_array_equal(found, 2 * X[order[rows]])
    assert places == sorted(places)
    np.testing.assert_array_equal(stored[rows], found)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_pages_that_were_read_are_given_back(tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", np.zeros((200_000, 8), dtype=np.float32))
    file = np.load(tmp_path / "large.npy", mmap_mode="r")
    assert float(file.sum()) == 0
    assert resident("large.npy") > 6e6
    mapped.release(file[5:])
    assert resident("large.npy") < 1e5
    for rows in (np.arange(100_000), np.arange(0, 200_000, 50)):
        mapped.take(file, rows)
        assert resident("large.npy") < 1e5


def test_a_private_copy_keeps_what_was_written_to_it(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    copy = np.load(tmp_path / "x.npy", mmap_mode="c")
    copy[7] = 5
    mapped.release(copy[:10])
    mapped.take(copy, np.arange(0, 5000, 40))
    np.testing.assert_array_equal(copy[7], 5)
