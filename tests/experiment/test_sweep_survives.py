"""Sweeps that are killed, doubled, starved of disk or memory: the same bytes in the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import EVERYTHING, Forked
from multirun import arguments, cells, command, environment, places, run
from squares import make_folder

from w2s_groups.results import committed, compaction, failures

# 4 jobs of 10 cells: a kill falls between jobs, between the cells of one and into the report.
SWEEP = ("eta_l=0.1,0.5", "eta_u=[0.1,0.25],[0.4,0.5]", "seeds=[0,1,2,3,4]")
PARTIAL = ("eta_l=0.1", *SWEEP[1:])  # 2 of its jobs


LAUNCHERS = {"workstation": "joblib", "processes": "submitit", "ray_machines": "ray"}


def needs(launcher: str) -> None:
    extra = LAUNCHERS[launcher]
    if find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        pytest.skip(f"needs w2s_groups[{extra}]")


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked(environment()) as server:
        yield server


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, forked: Forked) -> dict[str, bytes]:
    """The cells of a sweep that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert forked.run(out, *arguments(out, *SWEEP)) == 0
    found = cells(out)
    assert len(found) == 40
    return found


def report(out: Path) -> bytes:
    return (out / "reports/leaderboard/gaussian/leaderboard.csv").read_bytes()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_lose_nothing_and_double_nothing(
    whole: dict[str, bytes], tmp_path: Path, forked: Forked, kills: int
) -> None:
    """kill -9 again and again, each followed by a run that goes on: half of them just before or
    after a cell is in its place, the others at any moment of a run. A sweep that ends before its
    kill is compared whole, and the next one begins anew."""
    rng, length = random.Random(0), forked.seconds
    out, made, finished, between = tmp_path / "0", 0, 0, 0
    out.mkdir()
    while made < kills:
        before = len(cells(out))
        stop: dict[str, Any] = {"after": rng.uniform(0.1, length)}
        if made % 2 == 0 and before < 39:
            stop = {"at_file": rng.randint(1, min(12, 39 - before)), "before": rng.random() < 0.5}
        status = forked.run(out, *arguments(out, *SWEEP), **stop)
        if status in (-signal.SIGKILL, -signal.SIGPROF):
            made += 1
            between += before < len(cells(out)) < 40
            assert cells(out).items() <= whole.items()
            continue
        assert status == 0
        assert cells(out) == whole
        finished += 1
        out = tmp_path / str(finished)
        out.mkdir()
    assert between >= kills / 4  # or the kills missed what they are for
    assert forked.run(out, *arguments(out, *SWEEP)) == 0
    assert cells(out) == whole
    assert compaction.verify(out / "results/leaderboard").faults == []
    assert report(out)


def test_two_sweeps_into_one_store(whole: dict[str, bytes], tmp_path: Path, forked: Forked) -> None:
    assert forked.together(2, tmp_path, *arguments(tmp_path, *SWEEP)) == [0, 0]
    assert cells(tmp_path) == whole
    assert report(tmp_path)


def test_a_disk_that_fills_is_one_sentence_and_a_later_run_goes_on(
    whole: dict[str, bytes], tmp_path: Path, forked: Forked
) -> None:
    """The error of a full disk at the 13th cell; the slow test has a disk that is full."""
    said = tmp_path / "said"
    assert forked.run(tmp_path, *arguments(tmp_path, *SWEEP), at_file=13, full=True, said=said)
    assert "the disk is full" in said.read_text()
    assert "Traceback" not in said.read_text()
    kept = cells(tmp_path)
    assert 12 <= len(kept) < 40
    assert kept.items() <= whole.items()
    assert not list((tmp_path / "results").rglob("*.tmp"))
    assert forked.run(tmp_path, *arguments(tmp_path, *SWEEP)) == 0
    assert cells(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_same_bytes(
    whole: dict[str, bytes], tmp_path: Path, launcher: str
) -> None:
    needs(launcher)
    small = [
        f"++hydra.launcher.ray.init.{key}" for key in ("num_cpus=2", "include_dashboard=false")
    ]
    settings = small if launcher == "ray_machines" else []
    for _ in range(3):
        done = run(tmp_path, f"hydra/launcher={launcher}", *settings, *PARTIAL)
        # Ray gives its own processes 30 seconds to start, which a busy machine may not keep.
        if "timed out during startup" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr[-2000:]
    found = cells(tmp_path)
    assert len(found) == 20
    assert found.items() <= whole.items()
    assert "20 cells of 2 jobs; report in" in done.stdout
    assert report(tmp_path)


def children(pid: int) -> list[int]:
    """Descendants of a process."""
    own: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        own += map(int, path.read_text().split())
    return own + [grandchild for child in own for grandchild in children(child)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds workers by /proc")
@pytest.mark.parametrize(
    ("launcher", "worker"), [("workstation", "popen_loky"), ("processes", "submitit.core._submit")]
)
def test_a_worker_that_dies_costs_its_own_job_alone(
    whole: dict[str, bytes], tmp_path: Path, forked: Forked, launcher: str, worker: str
) -> None:
    """kill -9 of a process that the launcher started, once another of its cells is stored."""
    needs(launcher)
    process = subprocess.Popen(
        command(tmp_path, f"hydra/launcher={launcher}", *SWEEP), env=environment(),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not cells(tmp_path):
        assert process.poll() is None
        time.sleep(0.005)
    workers = [pid for pid in children(process.pid) if worker in command_line(pid)]
    os.kill(workers[-1], signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2, (out, err)
    (sentence,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "the launcher gave up" in sentence
    assert (tmp_path / "results/multirun/launcher.log").read_text().startswith("Traceback")
    assert "of 4 jobs are not finished; run the same command for them" in out
    assert "Traceback" not in err
    kept = cells(tmp_path)
    assert kept
    assert kept.items() <= whole.items()

    assert forked.run(tmp_path, *arguments(tmp_path, *SWEEP)) == 0
    assert cells(tmp_path) == whole


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


# The limit holds once the pool is there, so that it is the cell that does not fit.
LIMITED = (
    EVERYTHING
    + """
import resource
from pathlib import Path
from w2s_groups.cli import main
from w2s_groups.experiment import job

run_cells = job._run_cells

def limited(prepared, parts, *rest):
    for pair, _ in parts:
        pair.pool  # the limit is for heads
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + 24 * 2**20, before[1]))
    try:
        run_cells(prepared, parts, *rest)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

job._run_cells = limited
raise SystemExit(main())
"""
)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="reads the size from /proc")
def test_a_cell_that_does_not_fit_the_memory_is_a_row(tmp_path: Path, forked: Forked) -> None:
    overrides = (
        *("data.n_pool=40000", "data.d_z=64", "n_u=100,18000", "eta_l=0.25", "eta_u=0.5"),
        *("seeds=0", "methods=[teacher,w2s]"),
    )
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments(tmp_path, *overrides)],
        capture_output=True, text=True, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 of 2 cells failed and 0 of 2 jobs were refused" in done.stdout
    (row,) = failures.load(tmp_path / "results/leaderboard")
    assert row["n_u"] == 18000
    assert row["reason"].endswith(
        "out of memory; lower memory_limit_gb or n_u, run fewer jobs side by side, or give a job "
        "more memory"
    )
    assert "Traceback" in Path(row["log"]).read_text()
    kept = cells(tmp_path)
    assert len(kept) == 1
    assert forked.run(tmp_path, *arguments(tmp_path, *overrides)) == 0
    assert kept.items() <= cells(tmp_path).items()
    assert len(cells(tmp_path)) == 2
    assert failures.load(tmp_path / "results/leaderboard") == []


@pytest.mark.slow
def test_files_that_change_between_runs_are_never_mixed(tmp_path: Path, forked: Forked) -> None:
    """Features computed anew under the same name: other cells, and reports of their own."""
    folder = make_folder(tmp_path / "data")
    names = [f"images/{i:02d}.png" for i in range(96)]

    def compute(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for name in ("weak", "strong"):
            features = rng.standard_normal((96, 8)).astype(np.float32)
            np.savez(tmp_path / f"{name}.npz", features=features, files=names)

    sweep = (
        "--multirun", "data=folder", "data.name=squares", f"data.root={folder}",
        "data.class_names=[low,high]", "data.attribute_names=[green,blue]",
        f"teacher=file/{tmp_path / 'weak.npz'}", f"student=file/{tmp_path / 'strong.npz'}",
        "n_l=8", "n_u=16", "eta_l=0.25", "eta_u=0.25,0.5", "seeds=0,1,2,3,4,5,6,7",
        *places(tmp_path),
    )  # fmt: skip
    compute(0)
    assert forked.run(tmp_path, *sweep) == 0
    old = cells(tmp_path)
    assert len(old) == 16
    first = (tmp_path / "reports/leaderboard/squares/leaderboard.csv").read_bytes()

    compute(1)
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler); "
         "from w2s_groups.cli import main; raise SystemExit(main())", *sweep],
        env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(cells(tmp_path)) < len(old) + 2:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    made = cells(tmp_path).keys() - old.keys()
    assert 0 < len(made) < 16, err
    assert "the files of data=squares changed between jobs of this sweep" in out
    apart = sorted((tmp_path / "reports/leaderboard").glob("squares,files=*"))
    tables = [committed.read(path) for path in apart]
    shown = [{f"{key}.json" for key in table["cell"]} for table in tables]
    assert sum(map(len, shown)) == 16
    assert sorted([bool(of <= made), bool(of < old.keys())] for of in shown) == [
        [False, True],
        [True, False],
    ]

    assert forked.run(tmp_path, *sweep) == 0
    assert len(cells(tmp_path)) == 32
    assert cells(tmp_path).items() >= old.items()
    last = tmp_path / "reports/leaderboard/squares"
    assert {f"{key}.json" for key in committed.read(last)["cell"]} == cells(
        tmp_path
    ).keys() - old.keys()
    assert (last / "leaderboard.csv").read_bytes() != first

    labels = (folder / "metadata.csv").read_text().replace("0,0,0,/x", "1,0,0,/x", 1)
    (folder / "metadata.csv").write_text(labels)
    assert forked.run(tmp_path, *sweep) == 0
    assert len(cells(tmp_path)) == 48


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_a_later_run_goes_on(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        full = subprocess.run(
            command(tmp_path, *SWEEP, f"results_dir={disk}"),
            capture_output=True, text=True, env=environment(), cwd=tmp_path,
        )  # fmt: skip
        assert full.returncode != 0
        assert "the disk is full" in full.stdout + full.stderr
        assert "Traceback" not in full.stderr
        kept = {p.name: p.read_bytes() for p in (disk / "leaderboard").glob("*-v*.json")}
        assert 0 < len(kept) < 40
        assert kept.items() <= whole.items()
        (tmp_path / "results").mkdir()
        shutil.copytree(disk / "leaderboard", tmp_path / "results/leaderboard")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert run(tmp_path, *SWEEP).returncode == 0
    assert cells(tmp_path) == whole


@pytest.mark.slow
def test_noise_and_truncation_are_made_again(
    whole: dict[str, bytes], tmp_path: Path, forked: Forked
) -> None:
    assert forked.run(tmp_path, *arguments(tmp_path, *SWEEP)) == 0
    folder = tmp_path / "results/leaderboard"
    files = sorted(folder.glob("*-v*.json"))
    files[0].write_bytes(files[0].read_bytes()[:-30])
    files[1].write_bytes(os.urandom(500))
    files[2].unlink()
    os.utime(files[3], (0, 0))  # a clock that jumped
    os.utime(files[4], (2**32, 2**32))
    assert forked.run(tmp_path, *arguments(tmp_path, *SWEEP)) == 0
    assert cells(tmp_path) == whole
    # Another setting is other cells; the old ones stay.
    assert forked.run(tmp_path, *arguments(tmp_path, *SWEEP, "l2=0.01")) == 0
    assert len(cells(tmp_path)) == 80
    assert cells(tmp_path).items() >= whole.items()


def test_a_store_that_cannot_be_written_to(tmp_path: Path, forked: Forked) -> None:
    (tmp_path / "results").write_text("in the way")
    said = tmp_path / "said"
    asked = arguments(tmp_path, "eta_l=0.25", "eta_u=0.25", "seeds=0")
    assert forked.run(tmp_path, *asked, said=said) != 0
    assert "results_dir" in said.read_text()
    assert "Traceback" not in said.read_text()
