"""docs/template as an installed package: its tests, help, a run, and the report elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from installed import install_template

ROOT = Path(__file__).resolve().parents[1]
TINY = ("n_l=40", "n_u=80", "eta_l=0.25", "eta_u=0.5", "n_seeds=1", "threads=1")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    install_template(folder)
    return folder


def python(folder: Path, *words: str, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, [ROOT, *([] if site is None else [site])]))
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_its_own_tests_pass(site: Path, tmp_path: Path) -> None:
    ran = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{site}/tests",
                 site=site)  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "4 passed" in ran.stdout


def test_its_method_and_data_run_and_the_report_needs_neither(site: Path, tmp_path: Path) -> None:
    ran = python(
        tmp_path, "-m", "w2s_groups", "data=two_moons", "data.n=800",
        "methods=[teacher,w2s,sharpened]", "methods.sharpened.temperature=0.25", *TINY, site=site,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (cell,) = (tmp_path / "results/leaderboard").glob("*.json")
    stored = json.loads(cell.read_text())
    assert stored["made_with"]["versions"]["w2s-example"] == "0.1.0"
    assert stored["identity"]["code"].keys() == {"sharpened"}
    page = (tmp_path / "reports/leaderboard/two_moons/leaderboard.md").read_text(encoding="utf-8")
    assert "MixMatch, NeurIPS 2019, https://arxiv.org/abs/1905.02249; package w2s-example" in page
    checked = python(tmp_path, "-m", "w2s_groups", "report", "--check", "--root", str(tmp_path))
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout


def test_its_networks_are_known_by_name(site: Path, tmp_path: Path) -> None:
    asked = (
        "from w2s_groups.backbones import get_backbone as get; from w2s_groups import InputError\n"
        "print(get('example/grey-8').width)\n"
        "for name in ('example/colour', 'exampel/grey-8'):\n"
        "    try: get(name)\n"
        "    except InputError as error: print(error)"
    )
    ran = python(tmp_path, "-c", asked, site=site)
    assert ran.stdout.startswith("64\n"), ran.stderr
    assert "name example/grey-1 to example/grey-32" in ran.stdout
    assert "did you mean 'example/NAME'" in ran.stdout


def test_help_lists_it_without_torch(site: Path, tmp_path: Path) -> None:
    asked = (
        "import sys; from w2s_groups.cli import main; "
        "main(['run', '--help']); print(sorted(sys.modules))"
    )
    ran = python(tmp_path, "-c", asked, site=site)
    for name in ("sharpened", "two_moons", "example/NAME", "w2s-example 0.1.0"):
        assert name in ran.stdout, name
    loaded = ran.stdout.splitlines()[-1]
    assert "'torch'" not in loaded
    assert "'w2s_example'" not in loaded
