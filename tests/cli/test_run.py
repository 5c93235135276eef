"""The whole pipeline on a small folder of images, and what a user sees when something is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from squares import SMALL, cells_in, make_folder, places

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.reports import rebuild
from w2s_groups.results import committed
from w2s_groups.schema.config import Config

Load = Callable[..., Config]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("squares") / "data")


def test_a_run_ends_with_a_table_and_a_report_that_checks(
    load: Load, folder: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.run(load(*SMALL, *places(folder, cache, tmp_path)))
    printed = capsys.readouterr().out
    report = tmp_path / "reports/leaderboard/squares"
    assert "teacher" in printed
    assert str(report) in printed
    for name in ("leaderboard.md", "leaderboard.html", "leaderboard.csv", "samples.png"):
        assert (report / name).stat().st_size > 0
    table = committed.read(report)
    assert set(table.method) == {"teacher", "w2s", "selective", "baseline", "ceiling"}
    assert len(table.cell.unique()) == 4
    test = table[(table.split == "test") & (table.metric == "accuracy")]
    assert (test.n == 8).all()
    assert test[test.method == "ceiling"].value.mean() > 0.9  # brightness is easy to see
    assert str(folder) not in (report / "settings.json").read_text()
    assert rebuild.differences(tmp_path) == []

    first = cells_in(tmp_path)
    assert len(first) == 4
    run.run(load(*SMALL, *places(folder, cache, tmp_path)))
    assert cells_in(tmp_path) == first
    damaged = next(iter(first))
    path = next((tmp_path / "results").rglob(damaged))
    path.write_bytes(first[damaged][:-9])
    run.run(load(*SMALL, *places(folder, cache, tmp_path)))
    assert cells_in(tmp_path) == first  # made again, with the same bytes


def test_a_changed_method_is_another_cell(
    load: Load, folder: Path, cache: Path, tmp_path: Path
) -> None:
    overrides = (*SMALL, *places(folder, cache, tmp_path), "seeds=0", "eta_u=0.5")
    run.run(load(*overrides))
    run.run(load(*overrides, "methods.selective.keep=0.25"))
    assert len(cells_in(tmp_path)) == 2


def test_the_gaussian_model_runs_every_method(load: Load, tmp_path: Path) -> None:
    cfg = load(
        "data=gaussian",
        "data.d_z=8",
        "data.n_pool=800",
        "data.n_test=400",
        "n_l=100",
        "n_u=200",
        "seeds=[0]",
        *places(tmp_path, tmp_path, tmp_path)[1:],
    )
    run.run(cfg)
    assert len(cells_in(tmp_path)) == 8
    assert not (tmp_path / "reports/leaderboard/gaussian/samples.png").exists()


def test_a_teacher_alone_has_a_report_without_gains(load: Load, tmp_path: Path) -> None:
    small = ("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4", "n_l=40")
    alone = ("methods=[teacher]", "n_u=100", "seeds=[0,1]", "eta_u=0.5")
    run.run(load(*small, *alone, *places(tmp_path, tmp_path, tmp_path)[1:]))
    assert (tmp_path / "reports/leaderboard/gaussian/leaderboard.html").stat().st_size > 1000


def test_ridge_heads_run_and_say_which_l2_was_chosen(load: Load, tmp_path: Path) -> None:
    overrides = (
        *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4"),
        *("eta_l=0.25", "eta_u=[0.25,0.5]", "n_l=40", "n_u=100", "seeds=[0,1]"),
        *("head=ridge", "methods=[teacher,w2s,baseline,ceiling]", "l2_path=[1e-4,1e-2,1.0]"),
    )
    run.run(load(*overrides, *places(tmp_path, tmp_path, tmp_path)[1:]))
    folder = tmp_path / "reports/leaderboard/gaussian"
    table = committed.read(folder)
    chosen = table[table["metric"] == "l2"]
    assert set(chosen["method"]) == {"teacher", "w2s", "baseline", "ceiling"}
    assert len(chosen) == 4 * 4
    assert set(chosen["value"]) <= {1e-4, 1e-2, 1.0}
    assert rebuild.differences(tmp_path) == []


def test_what_the_pool_cannot_serve_is_refused_before_features(
    load: Load, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"too few; largest n_u: \d+"):
        run.run(load(*SMALL, *places(folder, tmp_path / "none", tmp_path), "n_u=60"))
    assert not (tmp_path / "none/features").exists()


def test_a_wrong_student_is_refused_before_the_teachers_features(
    load: Load, folder: Path, tmp_path: Path
) -> None:
    overrides = (*SMALL, *places(folder, tmp_path / "none", tmp_path), "student=packaged/resnet")
    with pytest.raises(InputError, match="resnet"):
        run.run(load(*overrides))
    assert not (tmp_path / "none/features").exists()


def test_corrupt_image_stops_the_run_or_is_skipped(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = make_folder(tmp_path / "data")
    (images / "images/07.png").write_bytes(b"no image")
    overrides = (*SMALL, *places(images, tmp_path / "cache", tmp_path))
    with pytest.raises(InputError, match=r"images/07\.png"):
        run.run(load(*overrides))
    assert cells_in(tmp_path) == {}
    run.run(load(*overrides, "on_bad_image=skip"))
    assert "1 unreadable" in caplog.text
    assert len(cells_in(tmp_path)) == 4


def test_a_results_folder_that_cannot_be_written_is_refused_first(
    load: Load, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    overrides = (*SMALL, *places(folder, tmp_path / "none", tmp_path))
    with pytest.raises(InputError, match="results_dir"):
        run.run(load(*overrides, f"results_dir={tmp_path / 'file'}"))
    assert not (tmp_path / "none").exists()


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "w2s_groups", *overrides]


def test_a_mistake_is_one_line_and_status_2_in_a_process_too(tmp_path: Path) -> None:
    done = subprocess.run(
        command("eta_l=0.7"), capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: eta_l=0.7 must be a number in [0, 0.5]")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_goes_on_to_the_same_bytes(
    load: Load, folder: Path, cache: Path, tmp_path: Path
) -> None:
    seeds = "seeds=[0,1,2,3,4,5,6,7,8,9,10,11]"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        command(*SMALL, seeds, *places(folder, cache, killed)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not cells_in(killed) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert cells_in(killed), "the run never came to its first cell"
    run.run(load(*SMALL, seeds, *places(folder, cache, killed)))
    run.run(load(*SMALL, seeds, *places(folder, cache, whole)))
    assert cells_in(killed) == cells_in(whole)
