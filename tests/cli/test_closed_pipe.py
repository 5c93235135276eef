"""`w2s-groups ... | head`: a command whose reader has left ends in silence, with one status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from w2s_groups.cli.errors import CLOSED, status_of

ROOT = Path(__file__).resolve().parents[2]
THEORY = (
    *("theory", "p_w=5", "p_s=3", "p_sw=1.36", "mu_w=1.1", "mu_s=1.2", "gamma_z=0.05"),
    *("nu_z=0.02", "eta_l=0.05", "eta_u=0.5"),
)
RUN = (
    *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4", "n_l=40", "n_u=100"),
    *("eta_l=0.25", "eta_u=0.5", "methods=[teacher,w2s]", "seeds=[0]", "threads=1"),
)
COMMANDS = [
    *(("--help",), ("--version",), ("run", "--help"), ("compose", "--help")),
    *(("results", "--help"), ("report", "--help"), THEORY),
]


def ended(
    words: tuple[str, ...], cwd: Path, buffered: bool = True, stderr: bool = False
) -> tuple[int, str]:
    """Status and stderr of a command whose output nobody reads; stderr: that neither."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONUNBUFFERED", None)
    done = subprocess.run(
        [sys.executable, *([] if buffered else ["-u"]), "-m", "w2s_groups", *words],
        cwd=cwd, env=environment, stdout=writing, stderr=writing if stderr else subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_nobody_reads(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert ended(words, tmp_path) == (CLOSED, "")


def test_nobody_reads_the_table_of_a_run(tmp_path: Path) -> None:
    status, logged = ended(RUN, tmp_path)
    assert status == CLOSED
    assert "Traceback" not in logged
    assert "Broken" not in logged
    assert list(tmp_path.glob("reports/**/results.csv.gz"))


def test_nobody_reads_what_is_printed_at_once(tmp_path: Path) -> None:
    assert ended(("run", "--help"), tmp_path, buffered=False) == (CLOSED, "")


def test_nobody_reads_the_refusal(tmp_path: Path) -> None:
    assert ended(("n_1=300",), tmp_path, stderr=True) == (CLOSED, "")


def test_another_pipe_that_breaks_is_an_error() -> None:
    def broken() -> int:
        raise BrokenPipeError("of a launcher")

    with pytest.raises(BrokenPipeError, match="of a launcher"):
        status_of(broken)
