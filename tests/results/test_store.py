"""Cell files: whole or absent, checked when read, the same bytes for the same cell."""

import os
from pathlib import Path

import numpy as np
import pytest

from w2s_groups.errors import InputError
from w2s_groups.files import check_writable, write_atomic
from w2s_groups.results import store
from w2s_groups.results.schema import COLUMNS

FIELDS = {
    "data": "d",
    "teacher": "t",
    "student": "s",
    "n_l": 10,
    "n_u": 20,
    "eta_l": 0.05,
    "eta_u": 0.5,
    "seed": 0,
}


def atom(value: float | None) -> dict[str, object]:
    return {
        "method": "teacher",
        "split": "test",
        "group": "g",
        "y": 0,
        "a": 1,
        "minority": True,
        "metric": "accuracy",
        "value": value,
        "n": 3,
    }


def test_round_trip(tmp_path: Path) -> None:
    store.save(tmp_path, "k", FIELDS, [atom(0.1 + 0.2), atom(None)], {"any": 1})
    table = store.read_all(tmp_path, ["k", "absent"])
    assert list(table.columns) == list(COLUMNS)
    assert table.value[0] == 0.1 + 0.2
    assert np.isnan(table.value[1])  # an absent group is missing, not 0
    assert table.eta_u[0] == 0.5
    assert (table.cell == "k").all()


def test_bytes_follow_from_the_cell_alone(tmp_path: Path) -> None:
    store.save(tmp_path / "one", "k", FIELDS, [atom(0.5)], {"written": "today"})
    reordered = dict(reversed(list(FIELDS.items())))
    store.save(tmp_path / "two", "k", reordered, [atom(0.5)], {"written": "tomorrow"})
    assert (tmp_path / "one/k.json").read_bytes() == (tmp_path / "two/k.json").read_bytes()


@pytest.mark.parametrize("damage", ["truncate", "alter", "noise", "empty", "other"])
def test_damaged_cell_is_noticed(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(tmp_path, "k", FIELDS, [atom(0.25)], {})
    path = tmp_path / "k.json"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "truncate": whole[:-20],
            "alter": whole.replace(b"0.25", b"0.75"),
            "noise": os.urandom(200),
            "empty": b"",
            "other": b"[1, 2]",
        }[damage]
    )
    assert store.read(tmp_path, "k") is None
    assert "damaged" in caplog.text


def test_key_ignores_order_and_notices_every_value() -> None:
    assert store.cell_key({"a": 1, "b": 2}) == store.cell_key({"b": 2, "a": 1})
    assert store.cell_key({"a": 1, "b": 2}) != store.cell_key({"a": 1, "b": 3})


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
