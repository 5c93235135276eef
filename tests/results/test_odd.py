"""What stands in a cell's place, or under a right checksum, that no run writes."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_cells import cell, record

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_json
from w2s_groups.results import compaction, odd, parquet, store
from w2s_groups.results.store import Damaged

ODD: list[tuple[str, list[dict[str, Any]]]] = [
    ("n=-1", [record(0.5) | {"n": -1}]),
    ("accuracy=1.5", [record(1.5)]),
    ("accuracy=-0.5", [record(-0.5)]),
    ("split=tests", [record(0.5) | {"split": "tests"}]),
    ("metric=auc", [record(0.5) | {"metric": "auc"}]),
    ("no value of the metric count", [record(None) | {"metric": "count"}]),
    ("n=0 with accuracy", [record(0.5) | {"n": 0}]),
    ("a record twice", [record(0.5), record(0.25)]),
    ("y=-2", [record(0.5) | {"y": -2}]),
]
OF_TYPE: list[tuple[str, list[Any]]] = [
    ("value=0.5, a str", [record(0.5) | {"value": "0.5"}]),
    ("n=True, a bool", [record(0.5) | {"n": True}]),
    ("minority=1, a int", [record(0.5) | {"minority": 1}]),
    ("n=3.0, a float", [record(0.5) | {"n": 3.0}]),
    ("other fields than a record (extra)", [record(0.5) | {"extra": 1}]),
    ("other fields than a record (n)", [{k: v for k, v in record(0.5).items() if k != "n"}]),
    ("its record 0 is a str", ["text"]),
    ("its record 0 is a list", [[1] * 9]),
    ("it holds no record", []),
]


@pytest.mark.parametrize(("words", "records"), ODD + OF_TYPE)
def test_odd_records_under_a_right_checksum_are_named(
    tmp_path: Path, words: str, records: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    one = replace(cell(), records=records)
    store.save(tmp_path, one)
    path = tmp_path / f"{one.key}.json"
    with pytest.raises(Damaged, match=words.replace("(", r"\(").replace(")", r"\)")):
        store.read(path)
    assert not len(store.load(tmp_path, [one.key]))
    assert str(path) in caplog.text
    (fault,) = compaction.verify(tmp_path).faults
    assert str(path) in fault
    cells, damaged = compaction.compact(tmp_path)
    assert (cells, len(damaged), path.exists()) == (0, 1, True)


@pytest.mark.parametrize(("words", "records"), ODD)
def test_odd_records_in_a_part_are_named(
    tmp_path: Path, words: str, records: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    one = replace(cell(), records=records)
    part = parquet.write(tmp_path, compaction.to_table([cell(seed=1), one]))
    assert not len(store.load(tmp_path, [one.key]))
    assert str(part) in caplog.text
    assert "it holds" in caplog.text
    (fault,) = compaction.verify(tmp_path).faults
    assert str(part) in fault


def test_a_part_with_columns_of_other_types_is_named(tmp_path: Path) -> None:
    table = compaction.to_table([cell()])
    parquet.write(tmp_path, table.astype({"n": "float64"}))
    parquet.write(tmp_path, table.assign(split=3))
    parquet.write(tmp_path, table.assign(eta_u=None))
    faults = compaction.verify(tmp_path).faults
    assert len(faults) == 3
    assert all("its column" in fault for fault in faults)
    assert not len(store.load(tmp_path, [cell().key]))


@pytest.mark.parametrize(
    "fields", [{"n_l": "10"}, {"eta_l": 1.5}, {"eta_u": float("1e999")}, {"seed": None}]
)
def test_odd_fields_are_named(tmp_path: Path, fields: dict[str, Any]) -> None:
    one = cell()
    assert odd.of_cell({**one.fields, **fields}, one.records) is not None
    assert odd.of_cell(one.fields, one.records) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(
    place=st.sampled_from(["atoms", "cell", "identity", "tested", *record(0.5), *cell().fields]),
    value=JSON,
)
def test_whatever_stands_in_a_field_is_a_cell_or_damaged(
    folder: Path, place: str, value: Any
) -> None:
    """With a right checksum; the key is right unless the configuration is what changes."""
    content: dict[str, Any] = json.loads(store.encoded(cell()))
    del content["sha256"]
    in_cell, in_record = content["cell"], content["atoms"][0]
    where = in_cell if place in in_cell else in_record if place in in_record else content
    where[place] = value
    try:
        content["sha256"] = store.digest(content)
    except ValueError:  # Infinity, which canonical JSON does not have
        return
    path = folder / f"{cell().key}.json"
    path.write_text(json.dumps(content))
    try:
        whole = store.read(path)
    except Damaged:
        assert not len(store.load(folder, [cell().key]))
        return
    table = store.table_of([whole])
    assert table["n"].ge(0).all()
    assert table.loc[table["metric"] == "accuracy", "value"].dropna().between(0, 1).all()
    part = parquet.write(folder, compaction.to_table([whole]))
    (again,) = compaction.from_table(parquet.read(part), part)
    assert store.encoded(again) == store.encoded(whole)
    part.unlink()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


def nested(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "is a folder where a file has to be; move it away"),
        (os.mkfifo, "is a FIFO or a device where a file has to be; move it away"),
        (nested, "is damaged: it is not a cell file"),
    ],
)
def test_what_stands_in_a_cells_place_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / f"{cell().key}.json"
    make(path)
    store.save(tmp_path, cell(seed=1))
    (fault,) = compaction.verify(tmp_path).faults
    assert f"{path} {words}" in fault
    if "damaged" not in words:
        with pytest.raises(InputError, match=words):
            store.load(tmp_path, [cell().key])
    cells, (left,) = compaction.compact(tmp_path)
    assert (cells, left.startswith(f"{path} {words}"), path.exists()) == (1, True, True)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_file_that_cannot_be_read_is_neither_absent_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The system's own answers: a disk that fails cannot be had, and root may read all."""
    store.save(tmp_path, cell())
    path, opened = tmp_path / f"{cell().key}.json", os.open

    def refused(name: Path, flags: int, *rest: int) -> int:
        if Path(name) == path:
            raise OSError(code, os.strerror(code), str(path))
        return opened(name, flags, *rest)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(InputError, match=f"cannot be read .{os.strerror(code)}"):
        store.load(tmp_path, [cell().key])
    assert "cannot be read" in compaction.verify(tmp_path).faults[0]
    assert compaction.compact(tmp_path)[0] == 0
    assert path.exists()


def test_json_that_is_nested_without_end_is_no_traceback(tmp_path: Path) -> None:
    nested(tmp_path / "settings.json")
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "settings.json")
