"""Cell files: whole or absent, checked when read, the same bytes for the same cell."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from stored_cells import cell, record

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.results import store
from w2s_groups.results.columns import COLUMNS
from w2s_groups.results.store import Stored


def test_round_trip(tmp_path: Path) -> None:
    one = cell(record(0.1 + 0.2), record(None, "h"))
    store.save(tmp_path, one)
    table = store.load(tmp_path, [one.key, "absent-v1"])
    assert list(table.columns) == list(COLUMNS)
    assert table.value[0] == 0.1 + 0.2
    assert np.isnan(table.value[1])  # an absent group is missing, not 0
    assert table.eta_u[0] == 0.5
    assert (table.cell == one.key).all()
    assert store.keys(tmp_path) == [one.key]


def test_bytes_follow_from_the_cell_alone(tmp_path: Path) -> None:
    one = cell(record(0.5))
    reordered = Stored(
        one.key, dict(reversed(one.identity.items())), dict(reversed(one.fields.items())), {},
        one.records,
    )  # fmt: skip
    store.save(tmp_path / "one", one)
    store.save(tmp_path / "two", reordered)
    name = f"{one.key}.json"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("damage", ["truncate", "alter", "noise", "empty", "other", "renamed"])
def test_a_damaged_cell_is_noticed(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = cell(), cell(seed=1)
    store.save(tmp_path, one)
    path = tmp_path / f"{one.key}.json"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "truncate": whole[:-20],
            "alter": whole.replace(b"0.25", b"0.75"),
            "noise": os.urandom(200),
            "empty": b"",
            "other": b"[1, 2]",
            "renamed": store.encoded(other),
        }[damage]
    )
    assert len(store.load(tmp_path, [one.key])) == 0
    assert "damaged" in caplog.text


def test_a_key_ignores_order_and_notices_every_value() -> None:
    one = {"numerics": 1, "a": 1, "b": 2}
    assert store.cell_key(one) == store.cell_key(dict(reversed(one.items())))
    assert store.cell_key(one) != store.cell_key({**one, "b": 3})
    assert store.cell_key(one) != store.cell_key({**one, "numerics": 2})


def test_cells_of_other_code_are_found_and_not_mixed(tmp_path: Path) -> None:
    old, new = cell(numerics=1), cell(numerics=2)
    store.save(tmp_path, old)
    store.save(tmp_path, cell(seed=5))
    assert len(store.load(tmp_path, [new.key])) == 0
    assert store.other_versions(tmp_path, [new.key]) == [old.key]
    assert store.other_versions(tmp_path, [old.key]) == []


def test_full_disk_is_one_sentence_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "f"
    write_atomic(target, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="disk is full"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="results_dir"):
        check_writable(tmp_path / "file" / "sub", "results_dir")
    with pytest.raises(InputError, match="can't be written"):
        write_atomic(tmp_path / "file" / "sub", b"")
