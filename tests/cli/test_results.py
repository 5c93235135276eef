"""`w2s-groups results`: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from stored_cells import FIELDS, cell, record

from w2s_groups.cli import main
from w2s_groups.results import failures, store


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in range(3):
        store.save(tmp_path / "mine", cell(record(0.5), record(0.25, "h"), seed=seed))
    store.save(tmp_path / "other", cell(numerics=2))
    failures.save(tmp_path / "mine", "k-v1", FIELDS, RuntimeError("no\nmemory"), "Traceback ...")
    return tmp_path


def run(results: Path, *arguments: str) -> int:
    return main(["results", *arguments, "--results-dir", str(results)])


def test_show_says_what_is_there(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(results, "show") == 0
    printed = capsys.readouterr().out
    assert "mine: 3 cells (3 by code v1), 3 of them in files of their own" in printed
    assert "d, t -> s:\n    3 cells, n_l 10, n_u 20, eta_l 0.05, eta_u 0.5, seed 0/1/2" in printed
    assert "RuntimeError: no memory" in printed
    assert "other: 1 cell (1 by code v2)" in printed


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_export_is_the_long_table(results: Path, tmp_path: Path, name: str) -> None:
    to = tmp_path / "out" / name
    assert run(results, "export", "mine", "--to", str(to)) == 0
    table = pd.read_parquet(to) if name.endswith("parquet") else pd.read_csv(to)
    assert len(table) == 6
    assert set(table["value"]) == {0.5, 0.25}


def test_compact_then_verify(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(results, "compact") == 0
    assert run(results, "verify") == 0
    printed = capsys.readouterr().out
    assert "mine: 3 cells in 1 Parquet file" in printed
    assert "mine: 3 cells, 6 records, all whole" in printed
    store.save(results / "mine", cell(seed=9))
    path = next((results / "mine").glob("*-v1.json"))
    path.write_text("{}")
    assert run(results, "verify", "mine") == 1
    assert "1 faults" in capsys.readouterr().out


def test_a_damaged_part_is_said_by_every_command(
    results: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(results, "compact", "mine") == 0
    (part,) = (results / "mine").glob("cells-*.parquet")
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    assert run(results, "verify", "mine") == 1
    assert f"{part} is damaged" in capsys.readouterr().out
    assert run(results, "show", "mine") == 0
    assert "mine: 0 cells" in capsys.readouterr().out
    assert run(results, "export", "mine", "--to", str(results / "t.csv")) == 0
    assert f"{part} is damaged" in caplog.text
    assert run(results, "compact", "mine") == 1
    assert part.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "min"], "mine"),
        (["export", "--to", "x.csv"], "name one of mine, other"),
        (["export", "mine", "--to", "x.xls"], "must end in .csv"),
        (["export", "mine"], "the following arguments are required: --to"),
        (["shw"], "command='shw' is unknown: did you mean 'show'?"),
        (["show", "--result-dir=x"], "did you mean '--results-dir'?"),
    ],
)
def test_mistakes_are_one_sentence(
    results: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(results, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_empty_folder_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "show") == 2
    assert "holds no results" in capsys.readouterr().err


def test_what_holds_no_cells_is_no_experiment(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("theory/ab", "multirun", "pairs"):
        (results / name).mkdir(parents=True)
    (results / "multirun/multirun.json").write_text("{}")
    row = {"name": "n", "symbol": "d", "value": None, "error": None, "definition": "x"}
    (results / "pairs/93cd0c038d793a02.json").write_text(json.dumps([row]))
    assert run(results, "verify") == 0
    assert run(results, "show") == 0
    printed = capsys.readouterr().out
    assert "pairs: dimensions of 1 pair of networks, all whole" in printed
    assert "multirun:" not in printed
    (results / "pairs/0000000000000000.json").write_text("[{}]")
    assert run(results, "verify") == 1
    assert "0000000000000000.json is damaged: " in capsys.readouterr().out
    assert run(results, "verify", "mine") == 0


def test_a_store_of_theory_only_is_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theory").mkdir()
    assert run(tmp_path, "verify") == 0
    assert run(tmp_path, "show") == 0
    assert "no cells of an experiment" in capsys.readouterr().out
