"""`w2s-groups draws export` and `score` as commands: what they add, refuse and show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from forked import Forked
from submissions import CARD

from w2s_groups import cli
from w2s_groups.cli import main
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST
from w2s_groups.experiment.inputs import load_dataset
from w2s_groups.results import committed, store, submitted

GRID = (
    *("data=gaussian", "data.n_pool=900", "data.n_test=240", "data.d_z=4", "n_u=80", "threads=1"),
    *("eta_l=0.25", "eta_u=[0.25,0.5]", "n_seeds=3", "methods=[teacher,w2s,selective,ceiling]"),
)
BOTH = (*GRID, "n_l=[40,60]")


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    root = str(Path(cli.__file__).parents[2])
    with Forked({**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}) as server:
        yield server


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, forked: Forked) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    assert forked.run(folder, "draws", "export", *BOTH, "to=draws") == 0
    assert json.loads((folder / "draws/manifest.json").read_text())["overrides"][:2] == list(
        GRID[:2]
    )
    return folder / "draws"


@pytest.fixture(scope="module")
def truth(load: Any, tmp_path_factory: pytest.TempPathFactory) -> pd.Series:
    """Name of the class of each test sample, by its id."""
    cfg = load(*GRID, "n_l=40", f"cache_dir={tmp_path_factory.mktemp('cache')}")
    dataset = load_dataset(cfg)
    names = np.array(dataset.groups.class_names)[dataset.y]
    test = dataset.split == TEST
    return pd.Series(names[test], index=np.flatnonzero(test).astype(str))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def handed_in(exported: Path, truth: pd.Series, right: float, **card: Any) -> list[str]:
    """Arguments of `score`: files in the present folder, so much of them right."""
    draws = pd.read_parquet(exported / "draws.parquet")
    test = draws[draws["set"] == "test"][["cell", "id"]].astype(str)
    wrong = stream(0, "test/wrong").random(len(test)) >= right
    own = truth.loc[test["id"]].to_numpy()
    others = np.array([next(n for n in truth.unique() if n != name) for name in own])
    test.assign(prediction=np.where(wrong, others, own)).to_parquet("p.parquet")
    Path("card.yaml").write_text(yaml.safe_dump({**CARD, **card}))
    return ["score", "p.parquet", "--card", "card.yaml", "--draws", str(exported)]


def test_a_method_joins_runs_and_sweeps_of_any_methods(
    work: Path, exported: Path, truth: pd.Series, forked: Forked,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = handed_in(exported, truth, 0.7)
    assert main([*command, "--check"]) == 0
    assert not (work / "results").exists()
    assert main(command) == 0
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "mine can be added" in said
    assert "is in results/leaderboard/submitted/ already" in said
    (path,) = submitted.paths(work / "results/leaderboard")
    right = sum(sum(cell["right"]) for cell in submitted.read(path).cells)
    assert 0.65 < right / (12 * 240) < 0.75

    assert forked.run(work, "--multirun", *GRID, "n_l=40,60") == 0
    assert forked.run(work, *GRID, "n_l=40", "trials=six", "select=labelled") == 0
    tables = [committed.read(path) for path in sorted((work / "reports/leaderboard").iterdir())]
    assert len(tables) == 2
    whole, part = (table[table["method"] == "mine"] for table in tables)
    assert (whole["value"] * whole["n"]).sum() == pytest.approx(right)
    keys = ["n_l", "eta_u", "seed", "group"]
    same = part.merge(whole, on=keys)
    assert len(same) == len(part) == 6 * 4
    assert (same["value_x"] == same["value_y"]).all()
    assert not set(part["cell"]) & set(whole["cell"])
    page = next((work / "reports").rglob("gaussian,*/leaderboard.md")).read_text()
    assert "mine (submitted)" in page
    assert forked.run(work, "report", "--check") == 0

    to = work / "all.parquet"
    assert main(["results", "export", "leaderboard", "--to", str(to)]) == 0
    table = pd.read_parquet(to)
    assert table.loc[table["submitted"], "method"].unique().tolist() == ["mine"]
    assert main(["results", "show"]) == 0
    assert "submitted: mine by A. Body, 12 cells of gaussian" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-3])
    assert main(["results", "verify"]) == 1


def test_what_can_hardly_be_is_added_with_a_warning(
    work: Path, exported: Path, truth: pd.Series, forked: Forked,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main([*handed_in(exported, truth, 1.0), "--check"]) == 0
    assert "agrees with all 2880 test labels" in " ".join(capsys.readouterr().err.split())
    command = [*handed_in(exported, truth, 0.995), "--check"]
    assert main(command) == 0
    assert "warning" not in capsys.readouterr().err
    assert forked.run(work, *GRID, "n_l=40") == 0
    ceiling = store.load(work / "results/leaderboard", store.keys(work / "results/leaderboard"))
    assert (ceiling["method"] == "ceiling").any()
    assert main(command) == 0
    assert "and the ceiling, which is trained" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"authors": ["Another"]}, "has authors=['A. Body'], not ['Another']"),
        ({"tuning": {"what": "x", "data": "labelled", "trials": 2}}, "has tuning="),
        ({"name": "MINE", "summary": "x"}, "name=MINE is the submitted method in"),
        ({"tuning": {"what": "x", "data": "validation", "trials": 2}}, "no validation set"),
    ],
)
def test_a_name_is_taken_once(
    work: Path, exported: Path, truth: pd.Series, change: dict[str, Any], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(handed_in(exported, truth, 0.7)) == 0
    before = [path.read_bytes() for path in submitted.paths(work / "results/leaderboard")]
    assert main(handed_in(exported, truth, 0.7, **change)) == 2
    assert message in capsys.readouterr().err
    assert [path.read_bytes() for path in submitted.paths(work / "results/leaderboard")] == before


def test_other_predictions_under_the_same_name_are_refused(
    work: Path, exported: Path, truth: pd.Series, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(handed_in(exported, truth, 0.7)) == 0
    assert main(handed_in(exported, truth, 0.72)) == 2
    assert "has other predictions for 12 cells" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--draws", "none"], "none holds no manifest.json"),
        (["--set", "data.n_test=241"], "is of another data set"),
        (["--set", "n_seeds=2"], "is of other draws"),
        (["--set", "n_sed=2"], "n_sed"),
        (["--card", "none.yaml"], "names a file that is missing"),
        (["--config-dir", "none"], "is not a directory"),
        (["--chek"], "did you mean '--check'"),
    ],
)
def test_what_score_refuses(
    work: Path, exported: Path, truth: pd.Series, more: list[str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main([*handed_in(exported, truth, 0.7), *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (work / "results").exists()


def test_draws_without_export_say_what_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["data=gaussian"], ["exprt"]):
        assert main(["draws", *words]) == 2
        assert "w2s-groups draws export" in capsys.readouterr().err


def test_a_sweep_of_draws_has_a_folder_for_each_data_set(forked: Forked, tmp_path: Path) -> None:
    names = "data.name=one,two"
    assert forked.run(tmp_path, "draws", "export", "--multirun", *GRID, "n_l=40", names) == 0
    for name in ("one", "two"):
        manifest = json.loads((tmp_path / f"draws/leaderboard/{name}/manifest.json").read_text())
        assert f"data.name={name}" in manifest["overrides"]
    assert not (tmp_path / "reports").exists()
