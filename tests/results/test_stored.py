"""The stored table: the same table back, the same bytes for the same text, faults named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from tables import grid_table

from w2s_groups.errors import InputError
from w2s_groups.results import schema, stored


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grid_table(seeds=3)


def test_the_table_comes_back_and_pandas_reads_it_by_name(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    stored.write(table, tmp_path)
    pd.testing.assert_frame_equal(stored.read(tmp_path), schema.canonical(table))
    assert len(pd.read_csv(tmp_path / stored.NAME)) == len(table)


def test_other_compression_of_the_same_text_is_left_alone(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / stored.NAME
    path.write_bytes(gzip.compress(schema.to_csv(table).encode(), 1, mtime=5))
    before = path.read_bytes()
    stored.write(table, tmp_path)
    assert path.read_bytes() == before
    stored.write(table.assign(n=table["n"] + 1), tmp_path)
    assert path.read_bytes() != before


def test_a_broken_file_is_named_and_written_again(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / stored.NAME
    for broken in (b"<html>", stored.packed(schema.to_csv(table))[:-20], b""):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"results\.csv\.gz"):
            stored.read(tmp_path)
    stored.write(table, tmp_path)
    assert len(stored.read(tmp_path)) == len(table)
