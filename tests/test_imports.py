"""What an import and a run load: nothing that they do not use, no network, no GPU, no wait."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Libraries that only some data, networks and services use.
RARE = ("wilds", "transformers", "timm", "open_clip", "datasets", "peft", "mlflow", "wandb", "ray")
HEAVY = ("torch", "torchvision", "scipy", "pandas", "matplotlib", "pyarrow", "hydra", "omegaconf")
# As a machine without a network and with no GPU to see.
OFFLINE = """
import socket, sys
def refuse(*_, **__):
    raise SystemExit("the network was asked for")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""
LOADED = "print(*sorted(set({names!r}) & set(sys.modules)))"
SMALL = (
    *("n_l=40", "n_u=100", "eta_l=0.25", "eta_u=0.5", "methods=[teacher,w2s]", "seeds=[0]"),
    "threads=1",
)


def run(code: str, cwd: Path) -> str:
    """What a new Python prints that runs `code` offline."""
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE + code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "",
             "OMP_NUM_THREADS": "1"},
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded_by(code: str, names: tuple[str, ...], cwd: Path) -> list[str]:
    """Which of the libraries are imported at the end of `code`."""
    return run(f"{code}\n{LOADED.format(names=names)}", cwd).splitlines()[-1].split()


def seconds(code: str) -> tuple[float, float]:
    """Lowest time and lowest CPU time of three new Pythons that run `code`, from their start."""
    taken = []
    for _ in range(3):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        taken.append((time.perf_counter() - started, used))
    return min(wall for wall, _ in taken), min(cpu for _, cpu in taken)


def test_the_import_loads_no_library(tmp_path: Path) -> None:
    assert loaded_by("import w2s_groups", (*HEAVY, *RARE, "numpy"), tmp_path) == []


def test_the_import_takes_no_time() -> None:
    """Under a second, and within a few times the work of Python's own start."""
    (_, bare), (wall, ours) = seconds("pass"), seconds("import w2s_groups")
    assert wall < 1
    assert ours < 5 * bare + 0.1


@pytest.mark.parametrize(
    ("data", "used"),
    [
        (("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4"), []),
        (
            ("data=colored_digits", "data.n_pool=160", "data.n_test=40", "data.size=32",
             "student=packaged/efficientnet_lite0"),
            ["torchvision"],  # the teacher's SqueezeNet 1.1
        ),
    ],
    ids=["gaussian", "colored_digits"],
)  # fmt: skip
def test_a_run_loads_what_it_uses(tmp_path: Path, data: tuple[str, ...], used: list[str]) -> None:
    code = (
        "from w2s_groups.cli import compose, main, plan, predict, results, run, theory\n"
        f"assert main({[*data, *SMALL]!r}) == 0"
    )
    assert loaded_by(code, (*RARE, "torchvision"), tmp_path) == used
    assert list(tmp_path.glob("reports/**/results.csv.gz"))
