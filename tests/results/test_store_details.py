"""Details of the store that other tests pass over: counts by identity, names, parts, spelling."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from stored_cells import cell, record

from w2s_groups.results import columns, compaction, parquet, store
from w2s_groups.results.tested import Counts

COUNTS = Counts(("i", "j"), ("p", "p"), ("g", "h"), np.array([3, 2]), {"w2s": np.array([1, 2])})


def seen(folder: Path) -> list[tuple[int, list[int]]]:
    found = store.tested(folder, store.keys(folder))
    return sorted((fields["seed"], counts.right["w2s"].tolist()) for fields, counts in found)


def test_counts_by_identity_are_kept_and_each_cell_is_counted_once(tmp_path: Path) -> None:
    plain, counted = cell(seed=0), replace(cell(seed=1), tested=COUNTS)
    store.save(tmp_path, plain)
    store.save(tmp_path, counted)
    assert seen(tmp_path) == [(1, [1, 2])]
    again = store.read(tmp_path / f"{counted.key}.json").tested
    assert again is not None
    assert again.as_json() == COUNTS.as_json()
    assert store.read(tmp_path / f"{plain.key}.json").tested is None
    compaction.compact(tmp_path)
    assert seen(tmp_path) == [(1, [1, 2])]
    store.save(tmp_path, counted)  # as a kill between writing and removing leaves it
    assert seen(tmp_path) == [(1, [1, 2])]


def test_a_folder_holds_cells_in_files_or_in_parts(tmp_path: Path) -> None:
    assert not store.holds_cells(tmp_path)
    assert not store.holds_cells(tmp_path / "none")
    store.save(tmp_path, cell())
    assert store.holds_cells(tmp_path)
    compaction.compact(tmp_path)
    assert store.loose(tmp_path) == []
    assert store.holds_cells(tmp_path)


def test_only_finished_cell_files_are_cells(tmp_path: Path) -> None:
    store.save(tmp_path, cell())
    (key,) = store.loose(tmp_path)
    for name in (".k-v1.json", f".{key}.json.x.tmp", "notes.txt", "k-v1.json.bak"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "outputs").mkdir()
    assert store.loose(tmp_path) == [key]


def test_a_part_has_no_column_that_says_nothing(tmp_path: Path) -> None:
    store.save(tmp_path, cell(record(0.5)))
    compaction.compact(tmp_path)
    (part,) = parquet.paths(tmp_path)
    stored = pq.ParquetFile(part)
    assert set(stored.schema_arrow.names) == (
        {*columns.COLUMNS, *parquet.EXTRA} - {*columns.DEFAULTS, "tested"}
    )
    assert stored.metadata.row_group(0).column(0).compression == "ZSTD"
    table = store.load(tmp_path, store.keys(tmp_path))
    assert set(table.columns) == set(columns.COLUMNS)
    assert table[list(columns.DEFAULTS)].iloc[0].to_dict() == columns.DEFAULTS


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_file_holds_a_number_that_json_lacks(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        compaction._text({"x": value})
    with pytest.raises(ValueError, match="Out of range float"):
        store.save(tmp_path, cell(made_with={"x": value}))
    assert store.loose(tmp_path) == []
