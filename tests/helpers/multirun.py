"""Small multiruns of the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import w2s_groups

SMALL = (
    *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4"),
    *("n_l=40", "n_u=100", "methods=[teacher,w2s,ceiling]"),
)


def places(out: Path) -> tuple[str, ...]:
    return (
        f"cache_dir={out / 'cache'}",
        f"results_dir={out / 'results'}",
        f"reports_dir={out / 'reports'}",
    )


def arguments(out: Path, *overrides: str, multirun: bool = True) -> list[str]:
    mode = ["--multirun"] if multirun else []
    return [*mode, *SMALL, *places(out), *overrides]


def command(out: Path, *overrides: str, multirun: bool = True) -> list[str]:
    return [sys.executable, "-m", "w2s_groups", *arguments(out, *overrides, multirun=multirun)]


def environment() -> dict[str, str]:
    root = str(Path(w2s_groups.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def run(out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(out, *overrides), capture_output=True, text=True, env=environment(), cwd=out
    )


def cells(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (out / "results" / "leaderboard").glob("*-v*.json")}
