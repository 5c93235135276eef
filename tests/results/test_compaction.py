"""Cells folded into Parquet: nothing lost, nothing double, whatever happens on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stored_cells import cell, record

from w2s_groups.core.errors import InputError
from w2s_groups.experiment import job
from w2s_groups.results import columns, compaction, parquet, store
from w2s_groups.results.parquet import DamagedPart
from w2s_groups.results.store import Stored
from w2s_groups.results.tested import Counts
from w2s_groups.schema.config import Config

CELLS = [
    cell(record(0.1 + 0.2, "g"), record(None, "h"), record(1.0, "NA"), seed=s) for s in range(6)
]


def put(folder: Path, cells: list[Stored]) -> None:
    for one in cells:
        store.save(folder, one)


def all_of(folder: Path) -> pd.DataFrame:
    return columns.canonical(store.load(folder, store.keys(folder)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path, CELLS[:4])
    return tmp_path


def test_a_folded_folder_gives_the_same_table_and_the_same_cells(folder: Path) -> None:
    before = all_of(folder)
    files = {key: (folder / f"{key}.json").read_bytes() for key in store.loose(folder)}
    assert compaction.compact(folder) == (4, [])
    assert store.loose(folder) == []
    pd.testing.assert_frame_equal(all_of(folder), before)
    (part,) = parquet.paths(folder)
    again = {c.key: store.encoded(c) for c in compaction.from_table(parquet.read(part), part)}
    assert again == files
    bytes_before = part.read_bytes()
    compaction.compact(folder)
    assert parquet.paths(folder) == [part]
    assert part.read_bytes() == bytes_before


def test_later_cells_join_what_is_folded(folder: Path) -> None:
    compaction.compact(folder)
    put(folder, CELLS[4:])
    assert len(store.keys(folder)) == 6
    assert compaction.compact(folder)[0] == 6
    assert len(parquet.paths(folder)) == 1
    assert all_of(folder)["cell"].nunique() == 6


def test_one_killed_between_writing_and_removing_counts_nothing_twice(folder: Path) -> None:
    compaction.compact(folder)
    put(folder, CELLS[:4])  # as if the files had not been removed yet
    assert len(all_of(folder)) == 12  # canonical refuses a record that is there twice
    assert compaction.verify(folder).faults == []
    before = all_of(folder)
    assert compaction.compact(folder)[0] == 4
    assert store.loose(folder) == []
    pd.testing.assert_frame_equal(all_of(folder), before)  # the part that was there is kept


def test_two_at_once_lose_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second folds the same files and more, and is done before the first writes its part."""
    write = parquet.write

    def late(at: Path, table: pd.DataFrame) -> Path:
        monkeypatch.setattr(parquet, "write", write)
        put(folder, CELLS[4:])
        compaction.compact(folder)
        return write(at, table)

    monkeypatch.setattr(parquet, "write", late)
    compaction.compact(folder)
    assert all_of(folder)["cell"].nunique() == 6
    assert compaction.compact(folder)[0] == 6


def test_damaged_files_are_named_and_left_alone(folder: Path) -> None:
    bad = folder / f"{CELLS[0].key}.json"
    bad.write_bytes(bad.read_bytes()[:-9])
    cells, damaged = compaction.compact(folder)
    assert cells == 3
    assert len(damaged) == 1
    assert str(bad) in damaged[0]
    assert bad.exists()


def test_verify_finds_what_was_changed(folder: Path) -> None:
    found = compaction.verify(folder)
    assert (found.cells, found.records, found.faults) == (4, 12, [])
    one = folder / f"{CELLS[0].key}.json"
    one.write_bytes(one.read_bytes().replace(b"1.0", b"0.5"))
    assert any("checksum" in fault for fault in compaction.verify(folder).faults)
    one.unlink()
    compaction.compact(folder)
    (part,) = parquet.paths(folder)
    table = parquet.read(part)
    table.loc[0, "value"] = 0.75
    part.unlink()
    parquet.write(folder, table)
    assert any("differs from its checksum" in fault for fault in compaction.verify(folder).faults)


def test_a_cell_with_two_numbers_is_a_fault(folder: Path) -> None:
    compaction.compact(folder)
    other = Stored(CELLS[0].key, CELLS[0].identity, CELLS[0].fields, {}, [record(0.9)])
    store.save(folder, other)
    assert any("twice, with other numbers" in fault for fault in compaction.verify(folder).faults)


def test_a_broken_part_is_named_and_counts_as_absent(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compaction.compact(folder)
    (part,) = parquet.paths(folder)
    part.write_bytes(part.read_bytes()[:100])
    assert not len(store.load(folder, [CELLS[0].key]))
    assert store.keys(folder) == []
    (said,) = caplog.messages  # once, however often it is met
    assert f"{part} is damaged" in said
    assert len(compaction.verify(folder).faults) == 1
    put(folder, CELLS[1:])
    cells, left = compaction.compact(folder)
    assert (cells, len(left), part.exists()) == (5, 1, True)


def test_no_flipped_bit_of_real_cells_becomes_a_number(
    load: Callable[..., Config], tmp_path: Path
) -> None:
    """The store of a real run, 200 of its bits flipped one by one."""
    cfg = load(
        "data=gaussian", "n_l=24", "n_u=48", "eta_u=[0.25,0.5]", "n_seeds=2",
        "methods=[teacher,w2s,ceiling]", f"results_dir={tmp_path / 'results'}",
    )  # fmt: skip
    done = job.run(cfg)
    folder = job.results_folder(cfg)
    compaction.compact(folder)
    (part,) = parquet.paths(folder)
    before = all_of(folder)
    assert set(before["cell"]) == set(done.keys)
    whole = part.read_bytes()
    rng = np.random.default_rng(0)
    for bit in rng.choice(8 * len(whole), 200, replace=False):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        part.write_bytes(flipped)
        assert not len(store.load(folder, done.keys)), bit
        assert list(store.tested(folder, done.keys)) == []
        with pytest.raises(DamagedPart):
            parquet.read(part)
    job.run(cfg)
    pd.testing.assert_frame_equal(all_of(folder), before)  # made again


def test_what_was_not_written_is_not_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = parquet.write
    monkeypatch.setattr(parquet, "write", lambda at, table: write(at, table.iloc[:6]))
    with pytest.raises(InputError, match="nothing was removed"):
        compaction.compact(folder)
    assert len(store.loose(folder)) == 4


def test_an_error_of_the_disk_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compaction.compact(folder)
    (part,) = parquet.paths(folder)
    opened = os.open

    def refused(path: Path, flags: int, *rest: int) -> int:
        if Path(path) == part:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(InputError, match=r"cannot be read \(Too many open files\); .*try again"):
        store.load(folder, [CELLS[0].key])
    assert part.exists()


def test_a_cell_in_two_parts_is_counted_once(folder: Path) -> None:
    """As a kill leaves it between the new part and the end of the old ones."""
    counts = Counts(("i",), ("p",), ("g",), np.array([3]), {"w2s": np.array([1])})
    both = [replace(one, tested=counts) for one in CELLS[:2]]
    parquet.write(folder, compaction.to_table(both))
    parquet.write(folder, compaction.to_table(both[:1]))
    keys = [one.key for one in both]
    for key in keys:
        (folder / f"{key}.json").unlink()
    assert len(list(store.tested(folder, keys))) == 2
