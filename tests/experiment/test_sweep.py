"""Many jobs, one report: what goes together, what fails alone, what a real multirun leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from multirun import SMALL, arguments, cells, command, environment, places
from multirun import run as multirun

from w2s_groups.cli import run as command_run
from w2s_groups.cli.threads import share_of
from w2s_groups.core.roles import plain
from w2s_groups.experiment import dimensions, identity, job, sweep_report
from w2s_groups.reports import rebuild
from w2s_groups.results import committed, compaction, failures, store
from w2s_groups.results.format import noun_of
from w2s_groups.schema.config import Config

Load = Callable[..., Config]


def test_a_multirun_is_one_report_and_goes_on_past_what_it_cannot_run(tmp_path: Path) -> None:
    done = multirun(tmp_path, "eta_l=0.25", "eta_u=0.25,0.5", "n_u=100,100000", "seeds=0,1")
    assert done.returncode == 1
    assert "0 of 4 cells failed and 4 of 8 jobs were refused" in done.stdout
    assert "refused: " in done.stdout
    assert "n_u=100000" in done.stdout
    assert len(cells(tmp_path)) == 4
    report = tmp_path / "reports/leaderboard/gaussian"
    table = committed.read(report)
    assert table["cell"].nunique() == 4
    assert set(table["seed"]) == {0, 1}
    assert "4 cells of 4 jobs; report in" in done.stdout
    # The same cells, asked for in one job, are there already.
    whole = subprocess.run(
        command(tmp_path, "eta_l=0.25", "eta_u=[0.25,0.5]", "seeds=[0,1]", multirun=False),
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
    )
    assert whole.returncode == 0, whole.stderr
    assert "4 cells, 4 of them stored already" in whole.stderr
    assert len(cells(tmp_path)) == 4


def test_a_cell_that_fails_is_a_row_and_the_others_go_on(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = (*SMALL, "eta_l=0.25", "eta_u=[0.25,0.5]", "seeds=[0,1]", *places(tmp_path))
    real = job.run_block

    def lacking(block: Any, *args: Any) -> Any:
        if any(c.seed == 1 and c.request.eta_u == 0.5 for c in block):
            raise MemoryError("no room\nfor 3 GiB")
        return real(block, *args)

    monkeypatch.setattr(job, "run_block", lacking)
    assert len(command_run.run(load(*overrides)).failed) == 1
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith("1 of 4 cells failed; run the same command to try them again")
    (row,) = failures.load(tmp_path / "results/leaderboard")
    assert (row["seed"], row["eta_u"], row["status"]) == (1, 0.5, "failed")
    assert row["reason"].startswith("no room for 3 GiB: out of memory; lower memory_limit_gb")
    assert "Traceback" in Path(row["log"]).read_text()
    page = (tmp_path / "reports/leaderboard/gaussian/leaderboard.md").read_text()
    assert "## Cells that failed" in page
    assert "MemoryError: no room for 3 GiB" in page
    with pytest.raises(MemoryError):
        command_run.run(load(*overrides, "fail_fast=true"))

    monkeypatch.setattr(job, "run_block", real)
    assert command_run.run(load(*overrides)).failed == []
    assert failures.load(tmp_path / "results/leaderboard") == []
    page = (tmp_path / "reports/leaderboard/gaussian/leaderboard.md").read_text()
    assert "Cells that failed" not in page
    alone = cells(tmp_path)
    command_run.run(load(*overrides, *places(tmp_path / "again")))
    assert cells(tmp_path / "again") == alone


def test_dimensions_that_cannot_be_measured_cost_no_report(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = (*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))

    def failing(*_: Any, **__: Any) -> Any:
        raise np.linalg.LinAlgError("no convergence")

    with monkeypatch.context() as patch:
        patch.setattr(dimensions, "pair_report", failing)
        command_run.run(load(*overrides))
    assert "cannot be measured (LinAlgError: no convergence): left blank" in caplog.text
    folder = tmp_path / "reports/leaderboard/gaussian"
    assert "W2S" in (folder / "leaderboard.md").read_text()
    assert rebuild.differences(tmp_path) == []
    command_run.run(load(*overrides))  # measured now, in the same report
    assert "intrinsic dimension, teacher" in (folder / "leaderboard.md").read_text()


def test_compacted_cells_are_not_made_again(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = (*SMALL, "eta_l=0.25", "eta_u=[0.25,0.5]", "seeds=[0]", *places(tmp_path))
    command_run.run(load(*overrides))
    before = (tmp_path / "reports/leaderboard/gaussian/leaderboard.csv").read_bytes()
    compaction.compact(tmp_path / "results/leaderboard")
    assert cells(tmp_path) == {}
    caplog.set_level("INFO")
    command_run.run(load(*overrides))
    assert "2 cells, 2 of them stored already" in caplog.text
    assert cells(tmp_path) == {}
    assert (tmp_path / "reports/leaderboard/gaussian/leaderboard.csv").read_bytes() == before


def test_other_code_is_said_and_not_mixed(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = (*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    command_run.run(load(*overrides))
    monkeypatch.setattr(identity, "NUMERICS", identity.NUMERICS + 1)
    command_run.run(load(*overrides))
    assert f"1 cells of this configuration are stored by other code (v{identity.NUMERICS - 1}" in (
        caplog.text
    )
    assert len(store.keys(tmp_path / "results/leaderboard")) == 2


def record(**settings: Any) -> dict[str, Any]:
    base = {
        "teacher": ["a"], "student": ["b"], "eta_l": [0.1], "eta_u": [0.5], "n_l": [10],
        "n_u": [20], "seeds": [0], "l2": 0.1, "data": {"name": "birds", "size": 9},
        "pair": [{"teacher": "a", "student": "b", "numbers": []}],
    }  # fmt: skip
    return {"experiment": "e", "keys": [], "settings": {**base, **settings}}


def test_jobs_that_differ_in_the_grid_share_a_report() -> None:
    records = [
        record(),
        record(eta_u=[0.25], seeds=[1]),
        record(student=["c"], data={"name": "digits"}),
        {"experiment": "e", "keys": [], "refused": "no", "overrides": []},
    ]
    (alike,) = sweep_report.groups(records)
    settings = sweep_report.merged(alike)
    assert settings["eta_u"] == [0.25, 0.5]
    assert settings["seeds"] == [0, 1]
    assert settings["student"] == ["b", "c"]
    assert settings["data"] == {"name": "birds, digits", "birds.size": 9}
    assert [pair["data"] for pair in settings["pair"]] == ["birds", "digits"]
    assert sweep_report.report_name(alike, records) == "birds+digits"


def test_data_of_several_kinds_keep_their_words_and_their_files() -> None:
    birds = record(files={"birds": "11"})
    talk = record(data={"name": "talk"}, noun="text", files={"talk": "22"})
    (alike,) = sweep_report.groups([birds, talk])
    settings = sweep_report.merged(alike)
    assert settings["files"] == {"birds": "11", "talk": "22"}
    assert noun_of(settings, "birds") == "image"
    assert noun_of(settings, "talk") == "text"
    assert noun_of(settings) == "sample"
    assert noun_of(sweep_report.merged([talk, talk])) == "text"
    assert "noun" not in sweep_report.merged([birds, birds])


def test_what_sets_jobs_apart_is_said_once(load: Load) -> None:
    def job_of(*asked: str) -> dict[str, Any]:
        shown = plain(load("experiment=leaderboard", *asked))
        kept = {name: shown[name] for name in ("l2", "tol", "methods")}
        return record(**kept)

    records = [job_of(f"l2={l2}", f"tol={tol}") for l2 in (1e-3, 1e-2) for tol in (1e-6, 1e-5)]
    names = [sweep_report.report_name([one], records) for one in records]
    assert names == [
        f"birds,l2={l2},tol={tol}" for l2 in ("0.001", "0.01") for tol in ("1e-06", "1e-05")
    ]


def test_jobs_that_differ_elsewhere_do_not() -> None:
    records = [record(), record(l2=1.0), record(data={"name": "birds", "size": 20})]
    found = sweep_report.groups(records)
    assert [len(alike) for alike in found] == [1, 1, 1]
    names = [sweep_report.report_name(alike, records) for alike in found]
    assert names == ["birds,size=9,l2=0.1", "birds,size=9,l2=1.0", "birds,size=20,l2=0.1"]


def read_from(files: str, **settings: Any) -> dict[str, Any]:
    return {**record(**settings), "content": {"teacher a": files, "rows of a -> b": "same"}}


def test_jobs_that_read_other_files_do_not_and_it_is_said() -> None:
    old, new = read_from("old"), read_from("new", eta_u=[0.25])
    records = [old, new, read_from("old", eta_u=[0.1])]
    found = sweep_report.groups(records)
    assert found == [[old, records[2]], [new]]
    assert sweep_report.changed(records) == ["birds"]
    names = [sweep_report.report_name(alike, records) for alike in found]
    assert len(set(names)) == 2
    assert all(name.startswith("birds,files=") for name in names)
    # Other settings read other things: no file has changed.
    records = [read_from("old", image_size=32), read_from("new", image_size=64)]
    assert sweep_report.changed(records) == []
    assert [sweep_report.report_name([r], records) for r in records] == [
        "birds,image_size=32",
        "birds,image_size=64",
    ]
    other = {**read_from("x"), "content": {"teacher c": "x"}}
    assert len(sweep_report.groups([old, other])) == 1
    # A record of a version that did not keep what was read.
    assert len(sweep_report.groups([old, record()])) == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4000000000000 bytes. Error code 12"
        ),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_memory_that_runs_out_has_a_remedy(error: Exception) -> None:
    assert "out of memory; lower memory_limit_gb" in failures.reason(error)
    assert failures.reason(RuntimeError("singular")) == "singular"


def test_torch_still_says_what_it_says_when_memory_runs_out() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**60, dtype=torch.uint8)
    assert "out of memory; lower memory_limit_gb" in failures.reason(failed.value)


@pytest.mark.slow
def test_an_error_nobody_expected_stops_one_job_alone(tmp_path: Path) -> None:
    code = (
        "from w2s_groups.cli import main\n"
        "from w2s_groups.experiment import inputs\n"
        "load = inputs.load_features\n"
        "def failing(dataset, cfg, check):\n"
        "    if cfg.n_u == [60]:\n"
        "        raise OSError('the disk went away')\n"
        "    return load(dataset, cfg, check)\n"
        "inputs.load_features = failing\n"
        "raise SystemExit(main())\n"
    )
    asked = arguments(
        tmp_path, "eta_l=0.25", "eta_u=0.25", "seeds=0", "n_u=60,100", "data.seed=1,2"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *asked],
        capture_output=True, text=True, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "0 of 2 cells failed and 2 of 4 jobs were refused" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("refused: ")]
    assert len(lines) == 2
    log = lines[0].rpartition("(")[2].rstrip(")")
    assert "OSError: the disk went away" in lines[0]
    assert "Traceback" in Path(log).read_text()
    assert "Traceback" not in done.stderr


def test_cores_are_shared_as_the_launcher_shares_them() -> None:
    assert share_of({"_target_": "basic"}, 8) is None
    assert share_of({"n_jobs": 4}, 8) == 2
    assert share_of({"n_jobs": -1}, 8) == 1
    assert share_of({"n_jobs": 16}, 8) == 1
    assert share_of({"cpus_per_task": 3}, 8) == 3
    assert share_of({"ray": {"remote": {"num_cpus": 2}}}, 8) == 2
    assert share_of({"ray": {"remote": {}}}, 8) == 1
