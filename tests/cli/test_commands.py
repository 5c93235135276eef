"""Whole commands, each from the folder where a user is: what they leave and how they end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import numpy as np
import pandas as pd
import pytest
from forked import Forked

from w2s_groups import cli
from w2s_groups.core.seeds import stream
from w2s_groups.results import committed

SMALL = (
    *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4", "n_l=40", "n_u=100"),
    *("eta_l=0.25", "eta_u=0.5", "methods=[teacher,w2s]", "seeds=[0]", "threads=1"),
)
TEXTS = (
    *("data=metadata_csv", "data.text_columns=[comment]", "data.root=texts", "n_l=20", "n_u=40"),
    *("eta_l=0.25", "eta_u=0.5", "methods=[teacher,w2s,ceiling]", "seeds=[0,1]", "threads=1"),
    *("teacher=file/texts/t.npy", "student=file/texts/s.npy"),
)


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    root = str(Path(cli.__file__).parents[2])
    with Forked({**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}) as server:
        yield server


def texts(folder: Path, **features: float) -> None:
    """360 texts with features from files: name -> how much the label shows in them."""
    folder.mkdir(exist_ok=True)
    rows = [(y, a, s) for y in (0, 1) for a in (0, 1) for s in (0, 0, 2) for _ in range(30)]
    table = pd.DataFrame(rows, columns=["y", "a", "split"])
    table["comment"] = [f"text {row}" for row in range(len(table))]
    table.to_csv(folder / "metadata.csv", index=False)
    for name, shown in features.items():
        noise = stream(0, f"test/{name}").normal(size=(len(table), 6))
        noise[:, 0] += shown * table["y"]
        np.save(folder / f"{name}.npy", noise.astype(np.float32))


def reports(out: Path, experiment: str = "leaderboard") -> list[str]:
    return sorted(path.name for path in (out / "reports" / experiment).iterdir())


def test_sigterm_ends_a_sweep_with_the_report_of_what_there_is(
    forked: Forked, tmp_path: Path
) -> None:
    """As Slurm and Kubernetes send it, to the process only."""
    sweep = ("--multirun", *SMALL, "n_l=20,22,24,26")
    said, found = tmp_path / "said", "results/leaderboard/*-v*.json"
    assert forked.run(tmp_path, *sweep, at_file=2, signal=SIGTERM, said=said) == 2
    made = len(list(tmp_path.glob(found)))
    assert 2 <= made < 4
    text = said.read_text()
    assert "not finished: " in text
    assert "of 4 jobs are not finished; run the same command for them" in text
    stopped = cli.COMMANDS["run"].stopped
    assert text.rstrip().endswith(f"error: stopped; {stopped}")
    assert "Traceback" not in text
    (report,) = (tmp_path / "reports/leaderboard").iterdir()
    assert 0 < committed.read(report)["cell"].nunique() <= made  # the last job may lack its record
    assert forked.run(tmp_path, *sweep) == 0
    assert len(list(tmp_path.glob(found))) == 4


@pytest.mark.parametrize(
    ("command", "begun"), [("run", "results/leaderboard"), ("predict", "reports/predict")]
)
def test_sigterm_ends_a_command_with_how_to_go_on(
    forked: Forked, tmp_path: Path, command: str, begun: str
) -> None:
    words = SMALL if command == "run" else (*SMALL[:6], "threads=1")
    said = tmp_path / "said"
    stop = {"at_file": 1, "of": begun, "signal": SIGTERM, "said": said}
    assert forked.run(tmp_path, command, *words, **stop) == 2
    stopped = cli.COMMANDS[command].stopped
    assert said.read_text().rstrip().endswith(f"error: stopped; {stopped}")


def test_a_report_is_never_overwritten_by_another_grids(forked: Forked, tmp_path: Path) -> None:
    assert forked.run(tmp_path, *SMALL, "eta_u=[0.25,0.5]") == 0
    first = tmp_path / "reports/leaderboard/gaussian"
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    assert forked.run(tmp_path, *SMALL) == 0
    assert forked.run(tmp_path, *SMALL, "l2=0.01") == 0
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    assert reports(tmp_path) == ["gaussian", "gaussian,eta_u=0.5", "gaussian,eta_u=0.5,l2=0.01"]
    # The same question again, in other words: eta_u in another order is the same list of cells.
    assert forked.run(tmp_path, *SMALL, "eta_u=[0.25,0.5]", "batch_size=4") == 0
    assert len(reports(tmp_path)) == 3


def test_a_sweep_has_a_folder_for_each_question(forked: Forked, tmp_path: Path) -> None:
    lists = "methods=[teacher,w2s],[teacher,w2s,hard,selective]"
    two = ("l2=1e-3,1e-2", "tol=1e-6,1e-5")
    # Options may stand between overrides.
    assert forked.run(tmp_path, *SMALL, "--multirun", lists, *two) == 0
    assert len(reports(tmp_path)) == 8
    found = {committed.read(tmp_path / "reports/leaderboard" / name)["method"].nunique()
             for name in reports(tmp_path) if "methods=teacher+w2s," in name}  # fmt: skip
    assert found == {2}


def test_a_job_runs_where_the_command_was_given(forked: Forked, tmp_path: Path) -> None:
    texts(tmp_path / "texts", t=1.0, s=3.0)
    chdir = ("--multirun", "hydra.job.chdir=true")
    assert forked.run(tmp_path, *chdir, *TEXTS, "n_l=20,24") == 0
    assert reports(tmp_path) == ["metadata_csv"]
    assert len(list((tmp_path / "results/leaderboard").glob("*-v*.json"))) == 4
    assert not list((tmp_path / "results/multirun").rglob("*-v*.json"))


def test_texts_are_called_texts(forked: Forked, tmp_path: Path) -> None:
    texts(tmp_path / "texts", t=1.0, s=3.0)
    assert forked.run(tmp_path, *TEXTS, "methods=[teacher,w2s,selective,ceiling]") == 0
    folder = tmp_path / "reports/leaderboard/metadata_csv"
    for name in ("leaderboard.md", "leaderboard.html"):
        page = (folder / name).read_text()
        assert "test texts" in page
        assert "Labelled + unlabelled texts drawn" in page
        said = page.replace("data:image/png", "")
        assert " image" not in said.lower().replace('role="img"', "")
    # Another folder of data, under the same name and settings, is another report.
    texts(tmp_path / "others")
    table = (tmp_path / "texts/metadata.csv").read_text()
    (tmp_path / "others/metadata.csv").write_text(table.replace("text ", "other "))
    chosen = "methods=[teacher,w2s,selective,ceiling]"
    assert forked.run(tmp_path, *TEXTS, chosen, "data.root=others") == 0
    assert len(reports(tmp_path)) == 2


def test_a_sweep_that_goes_on_replaces_the_report_of_its_part(
    forked: Forked, tmp_path: Path
) -> None:
    texts(tmp_path / "texts", t=1.0, s=3.0)
    asked = ("--multirun", *TEXTS, "teacher=file/texts/t.npy,file/texts/later.npy")
    assert forked.run(tmp_path, *asked) == 1
    folder = tmp_path / "reports/leaderboard/metadata_csv"
    assert json.loads((folder / "settings.json").read_text())["unfinished"]["jobs"] == "1 of 2"
    assert "1 of 2" in (folder / "leaderboard.md").read_text()
    texts(tmp_path / "texts", t=1.0, s=3.0, later=2.0)
    assert forked.run(tmp_path, *asked) == 0
    assert reports(tmp_path) == ["metadata_csv"]
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["teacher"] == ["file/texts/later.npy", "file/texts/t.npy"]
    assert "unfinished" not in settings


def test_an_experiment_of_the_users_own_folder(forked: Forked, tmp_path: Path) -> None:
    own = tmp_path / "my/experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nexperiment_name: mine\nn_l: 24\n")
    where = ("--config-dir", "my"), (f"hydra.searchpath=[file://{tmp_path / 'my'}]",)
    for k, way in enumerate(where):
        out = (f"reports_dir=reports{k}", f"results_dir=results{k}")
        small = [override for override in SMALL if not override.startswith("n_l")]
        assert forked.run(tmp_path, *way, *small, "experiment=mine", *out) == 0
        settings = (tmp_path / f"reports{k}/mine/gaussian/settings.json").read_text()
        assert json.loads(settings)["n_l"] == [24]


@pytest.mark.parametrize(
    "arguments",
    [
        ["n_l=20,24"],
        ["l2=[1e-3,1e-2]"],
        ["head=Ridge"],
        ["n_1=300"],
        ["teacher=foo", "student=bar"],
        ["experiment_name=paper/fig1"],
        ["--multirun", "experiment_name=paper/fig1", "n_l=20,24"],
        ["--multirun", "head=Ridge,ridge"],
        ["seeds=${nothing}"],
        ["n_seeds=2"],
        ["--foo"],
        ["n_l=20", "--multirun", "--run"],
        ["leaderbord"],
    ],
)
def test_a_mistake_ends_with_status_2_and_leaves_nothing(
    forked: Forked, tmp_path: Path, arguments: list[str]
) -> None:
    assert forked.run(tmp_path, *SMALL, *arguments) == 2
    assert not list(tmp_path.rglob("*-v*.json"))


def test_features_that_are_all_the_same_are_refused_before_any_head(
    forked: Forked, tmp_path: Path
) -> None:
    texts(tmp_path / "texts", t=1.0, s=3.0)
    np.save(tmp_path / "texts/same.npy", np.ones((360, 6), dtype=np.float32))
    assert forked.run(tmp_path, *TEXTS, "student=file/texts/same.npy") == 2
    assert not list(tmp_path.rglob("*-v*.json"))


def test_a_good_store_is_called_whole(
    forked: Forked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert forked.run(tmp_path, "--multirun", *SMALL, "seeds=0,1") == 0
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "results/pairs").is_dir()
    assert cli.main(["results", "verify"]) == 0
    assert cli.main(["results", "show"]) == 0
    (path,) = (tmp_path / "results/pairs").iterdir()
    path.write_text(path.read_text()[:-9])
    assert cli.main(["results", "verify"]) == 1
    # A run measures it again.
    assert forked.run(tmp_path, *SMALL) == 0
    assert cli.main(["results", "verify"]) == 0


def test_a_theory_with_other_settings_has_a_folder_of_its_own(
    forked: Forked, tmp_path: Path
) -> None:
    coarse = ("experiment=phase_map", "experiment.rtol=1e-2")
    assert forked.run(tmp_path, "--multirun", *coarse, "experiment.size=4,5") == 0
    found = [path.parent.name for path in (tmp_path / "reports").rglob("phase_map.csv")]
    assert sorted(found) == ["phase_map,rtol=0.01,size=4", "phase_map,rtol=0.01,size=5"]
