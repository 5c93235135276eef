"""`w2s-groups results merge`: stores of several people, and what must not be lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from stored_cells import FIELDS, cell, record
from submissions import submission

from w2s_groups.cli import main, merge
from w2s_groups.results import compaction, failures, store, submitted

PAIR = [
    {"key": "cka", "name": "similarity", "symbol": "CKA", "value": 0.25, "error": None,
     "chance": None, "definition": "alignment"},
]  # fmt: skip


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    """Mine with cells 0 and 1, theirs with 1, 2 (compacted) and 3, a failure, a method, a pair."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for seed in (0, 1):
        store.save(mine / "run", cell(seed=seed))
    for seed in (1, 2):
        store.save(theirs / "run", cell(seed=seed))
    compaction.compact(theirs / "run")
    store.save(theirs / "run", cell(seed=3))
    failures.save(theirs / "run", "lost-v1", FIELDS, RuntimeError("no"), "Traceback")
    failures.save(theirs / "run", cell(seed=0).key, FIELDS, RuntimeError("no"), "Traceback")
    submitted.save(theirs / "run", submission())
    (theirs / "pairs").mkdir()
    (theirs / "pairs/a.json").write_text(json.dumps(PAIR))
    return mine, theirs


def run(mine: Path, *folders: Path) -> int:
    return main(["results", "merge", *map(str, folders), "--results-dir", str(mine)])


def test_a_merge_adds_what_is_missing_and_nothing_else(
    stores: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = stores
    before, source = contents(mine), contents(theirs)
    assert run(mine, theirs) == 0
    assert "added, 1 there already" in capsys.readouterr().out
    after = contents(mine)
    assert {name: after[name] for name in before} == before
    assert contents(theirs) == source
    assert store.keys(mine / "run") == sorted(cell(seed=k).key for k in range(4))
    assert [row["cell"] for row in failures.load(mine / "run")] == ["lost-v1"]
    assert len(submitted.paths(mine / "run")) == 1
    assert (mine / "pairs/a.json").is_file()
    assert run(mine, theirs, theirs) == 0
    assert contents(mine) == after
    assert main(["results", "verify", "--results-dir", str(mine)]) == 0


def test_a_merge_into_an_empty_folder(stores: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(tmp_path / "new", *stores) == 0
    assert len(store.keys(tmp_path / "new/run")) == 4


def test_the_same_numbers_of_another_machine_are_one_cell(stores: tuple[Path, Path]) -> None:
    mine, theirs = stores
    store.save(theirs / "run", cell(seed=0, made_with={"machine": "other"}))
    before = contents(mine)
    assert run(mine, theirs) == 0
    after = contents(mine)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("into", ["mine", "new"])
def test_other_numbers_under_one_key_are_refused_before_anything_is_written(
    stores: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], into: str
) -> None:
    mine, theirs = stores
    store.save(theirs / "run", cell(record(0.5), seed=0))
    target = tmp_path / into
    before = contents(target)
    assert run(target, *((theirs,) if into == "mine" else stores)) == 2
    said = capsys.readouterr().err
    key = cell(seed=0).key
    assert f"{theirs}/run/{key}.json and {mine}/run/{key}.json hold cell {key}" in said
    assert contents(target) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"authors": ["Somebody Else"]}, "has authors="),
        ({"summary": "another"}, "has summary="),
        ({}, "has other predictions for 1 cell"),
    ],
)
def test_a_name_stays_with_its_method(
    stores: tuple[Path, Path], capsys: pytest.CaptureFixture[str], change: dict[str, object],
    message: str,
) -> None:  # fmt: skip
    mine, theirs = stores
    one = submission()
    other = replace(one, card={**one.card, **change}) if change else submission(right=1)
    submitted.save(mine / "elsewhere", other)
    before = contents(mine)
    assert run(mine, theirs) == 2
    assert message in capsys.readouterr().err
    assert contents(mine) == before


def test_damaged_files_are_named_and_left_out(
    stores: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = stores
    for path in (theirs / f"run/{cell(seed=3).key}.json", mine / f"run/{cell(seed=1).key}.json"):
        path.write_bytes(path.read_bytes()[:-5])
    (one,) = submitted.paths(theirs / "run")
    one.write_bytes(one.read_bytes().replace(b"example", b"exemple"))
    before = contents(mine)
    assert run(mine, theirs) == 1
    said = capsys.readouterr().out
    assert said.count("is damaged") == 3
    after = contents(mine)
    assert {name: after[name] for name in before} == before
    assert cell(seed=2).key in store.keys(mine / "run")


def test_an_interrupted_merge_goes_on(
    stores: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = stores
    wanted = set(merge.planned([theirs], mine).new)
    real = merge.write_atomic
    written: list[Path] = []

    def stop_after_one(path: Path, data: bytes) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        real(path, data)

    monkeypatch.setattr(merge, "write_atomic", stop_after_one)
    for left in range(len(wanted), 0, -1):
        written.clear()
        assert run(mine, theirs) == (2 if left > 1 else 0)
    assert wanted <= {mine / name for name in contents(mine)}


def test_pairs_may_differ_by_rounding_only(
    stores: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = stores
    (mine / "pairs").mkdir()
    (mine / "pairs/a.json").write_text(json.dumps([{**PAIR[0], "value": 0.250001}]))
    assert run(mine, theirs) == 0
    (theirs / "pairs/a.json").write_text(json.dumps([{**PAIR[0], "value": 0.3}]))
    assert run(mine, theirs) == 2
    assert "dimensions of one pair" in capsys.readouterr().err


def test_folders_that_hold_nothing_are_refused(
    stores: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in (
        (tmp_path / "none", "is not a directory"),
        (tmp_path / "empty", "holds no results"),
        (stores[0], "is --results-dir itself"),
    ):
        assert run(stores[0], folder) == 2
        assert message in capsys.readouterr().err
