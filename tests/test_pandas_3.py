"""The other pandas that is allowed: the tests run under 2, which wilds needs, and this under 3."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("tests/results", "tests/features", "tests/figures")


def run(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pandas_3(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Python that finds the newest pandas 3 first."""
    target = str(tmp_path_factory.mktemp("pandas"))
    run("pip", "install", "--quiet", "--no-deps", "--target", target, "pandas>=3,<4")
    environment = {"PYTHONPATH": os.pathsep.join([target, str(ROOT)]), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", "import pandas; print(pandas.__version__)"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.startswith("3.")
    return environment


@pytest.mark.slow
def test_reports_are_the_same_to_the_byte(pandas_3: dict[str, str]) -> None:
    assert run("w2s_groups.reports", "--check", **pandas_3) == ""


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_tables_hold(pandas_3: dict[str, str], folder: str) -> None:
    run("pytest", folder, "-q", "-p", "no:cacheprovider", **pandas_3)
