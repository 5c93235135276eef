"""Sweeps that are killed, doubled, starved of disk or memory: the same bytes in the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_sweep import cells, command, environment, run

from w2s_groups.results import folding

pytestmark = pytest.mark.slow

# 40 jobs of one cell each.
SWEEP = ("eta_l=0.1,0.5", "eta_u=0.1,0.25,0.4,0.5", "seeds=0,1,2,3,4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The cells of a sweep that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert run(out, *SWEEP).returncode == 0
    found = cells(out)
    assert len(found) == 40
    return found


def report(out: Path) -> bytes:
    return (out / "reports/leaderboard/gaussian/leaderboard.csv").read_bytes()


def test_fifty_kills_lose_nothing_and_double_nothing(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    """kill -9 at moments spread over a whole sweep; a store that is done is begun anew."""
    started = time.monotonic()
    assert (
        run(tmp_path / "t" if (tmp_path / "t").mkdir() is None else tmp_path, *SWEEP).returncode
        == 0
    )
    length = time.monotonic() - started
    kills = rounds = 0
    out = tmp_path / "0"
    out.mkdir()
    while kills < 50:
        process = subprocess.Popen(
            command(out, *SWEEP), env=environment(), cwd=out,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        # The golden ratio's multiples spread evenly over the run, the start of Python left out.
        moment = length * (0.25 + 0.75 * ((0.618 * kills) % 1))
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            assert cells(out).items() <= whole.items()
            continue
        assert process.returncode == 0
        assert cells(out) == whole
        rounds += 1
        out = tmp_path / str(rounds)
        out.mkdir()
    assert run(out, *SWEEP).returncode == 0
    assert cells(out) == whole
    assert folding.verify(out / "results/leaderboard").faults == []


def test_two_sweeps_into_one_store(whole: dict[str, bytes], tmp_path: Path) -> None:
    both = [
        subprocess.Popen(command(tmp_path, *SWEEP), env=environment(), cwd=tmp_path,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]  # fmt: skip
    assert [process.wait() for process in both] == [0, 0]
    assert cells(tmp_path) == whole


@pytest.mark.parametrize("launcher", ["workstation", "processes", "ray_machines"])
def test_every_launcher_gives_the_same_bytes(
    whole: dict[str, bytes], tmp_path: Path, launcher: str
) -> None:
    plugin = {"workstation": "joblib", "processes": "submitit", "ray_machines": "ray"}[launcher]
    if find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is None:
        pytest.skip(f"needs w2s_groups[{plugin}]")
    few = ("eta_l=0.1", "eta_u=0.1,0.5", "seeds=0,1")
    done = run(tmp_path, f"hydra/launcher={launcher}", *few)
    assert done.returncode == 0, done.stderr[-2000:]
    found = cells(tmp_path)
    assert len(found) == 4
    assert found.items() <= whole.items()
    assert report(tmp_path)


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
            [*command(tmp_path, *SWEEP), f"results_dir={disk}"],
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


def test_noise_and_truncation_are_made_again(whole: dict[str, bytes], tmp_path: Path) -> None:
    assert run(tmp_path, *SWEEP).returncode == 0
    folder = tmp_path / "results/leaderboard"
    files = sorted(folder.glob("*-v*.json"))
    files[0].write_bytes(files[0].read_bytes()[:-30])
    files[1].write_bytes(os.urandom(500))
    files[2].unlink()
    os.utime(files[3], (0, 0))  # a clock that jumped
    os.utime(files[4], (2**32, 2**32))
    assert run(tmp_path, *SWEEP).returncode == 0
    assert cells(tmp_path) == whole
    # Another setting is other cells; the old ones stay.
    assert run(tmp_path, *SWEEP, "l2=0.01").returncode == 0
    assert len(cells(tmp_path)) == 80
    assert cells(tmp_path).items() >= whole.items()


def test_a_store_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("in the way")
    done = run(tmp_path, "eta_l=0.25", "eta_u=0.25", "seeds=0")
    assert done.returncode != 0
    assert "results_dir" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
