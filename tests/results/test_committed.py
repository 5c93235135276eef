"""The committed table: the same table back, the same bytes for the same text, faults named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from tables import grid_table

from w2s_groups.core.errors import InputError
from w2s_groups.results import columns, committed


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grid_table(seeds=3)


def test_the_table_comes_back_and_pandas_reads_it_by_name(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    committed.write(table, tmp_path)
    pd.testing.assert_frame_equal(committed.read(tmp_path), columns.canonical(table))
    assert len(pd.read_csv(tmp_path / committed.NAME)) == len(table)


def test_other_compression_of_the_same_text_is_left_alone(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / committed.NAME
    path.write_bytes(gzip.compress(columns.to_csv(table).encode(), 1, mtime=5))
    before = path.read_bytes()
    committed.write(table, tmp_path)
    assert path.read_bytes() == before
    committed.write(table.assign(n=table["n"] + 1), tmp_path)
    assert path.read_bytes() != before


def test_a_broken_file_is_named_and_written_again(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / committed.NAME
    for broken in (b"<html>", committed.packed(columns.to_csv(table))[:-20], b""):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"results\.csv\.gz"):
            committed.read(tmp_path)
    committed.write(table, tmp_path)
    assert len(committed.read(tmp_path)) == len(table)
