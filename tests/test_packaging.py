"""The sdist holds all that the wheel needs, and the wheel runs where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4", "n_l=40", "n_u=100"),
    *("eta_l=0.25", "eta_u=0.5", "methods=[teacher,w2s]", "seeds=[0]", "threads=1"),
)


def run(*command: str, cwd: Path, **environment: str) -> str:
    """What a command prints; the test fails with what it said where it ends badly."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_sdist_includes_what_the_wheel_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    targets = project["tool"]["hatch"]["build"]["targets"]
    included = [path.strip("/") for path in targets["sdist"]["include"]]
    needed = [*targets["wheel"]["packages"], *targets["wheel"]["force-include"]]
    needed += [project["project"]["readme"]]
    for path in needed:
        assert (ROOT / path).exists()
        assert any(f"{path}/".startswith(f"{folder}/") for folder in included), path
    assert not [path for path in included if not (ROOT / path).exists()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, from a wheel that was built from the sdist."""
    work = tmp_path_factory.mktemp("packaging")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(work), cwd=ROOT)
    (archive,) = work.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(work / "sdist", filter="data")
    (source,) = (work / "sdist").iterdir()
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(work), cwd=source)
    (wheel,) = work.glob("*.whl")
    target = work / "installed"
    with zipfile.ZipFile(wheel) as files:
        files.extractall(target)
    return target


@pytest.mark.slow
def test_the_wheel_of_the_sdist_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    def ours(*arguments: str) -> str:
        return run("-m", "w2s_groups", *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    where = run(
        "-c", "import w2s_groups; print(w2s_groups.__file__)", cwd=tmp_path,
        PYTHONPATH=str(installed),
    )  # fmt: skip
    assert Path(where.strip()).is_relative_to(installed)
    assert "w2s_groups" in ours("--help")
    assert "n_l: 40" in ours(*SMALL, "--cfg", "job")
    ours(*SMALL)
    # This one reads the published numbers that come with the package.
    ours(*SMALL, "experiment=similarity")
    report = (tmp_path / "reports/similarity/gaussian/leaderboard.md").read_text(encoding="utf-8")
    assert "UTKFace" in report
