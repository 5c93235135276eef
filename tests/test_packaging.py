"""The package as an index shows it, and the wheel where there is no checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from trove_classifiers import classifiers

from w2s_groups.core import lazy

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HOME = PROJECT["urls"]["Repository"]
# Markdown's and HTML's links.
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
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
    needed += ["README.md", *project["project"]["license-files"]]
    for path in needed:
        assert (ROOT / path).exists()
        assert any(f"{path}/".startswith(f"{folder}/") for folder in included), path
    assert not [path for path in included if not (ROOT / path).exists()]


def test_every_address_is_that_of_the_repository() -> None:
    urls = PROJECT["urls"]
    assert urls["Homepage"] == HOME
    assert urls["Issues"] == f"{HOME}/issues"
    assert urls["Changelog"] == f"{HOME}/blob/main/CHANGELOG.md"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == HOME
    assert citation["url"] == urls["Documentation"]
    assert {author["name"] for author in citation["authors"]} == {
        author["name"] for author in PROJECT["authors"]
    }


def test_classifiers_are_known_and_name_the_pythons_that_are_allowed() -> None:
    assert set(PROJECT["classifiers"]) <= classifiers
    named = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if " :: 3." in c}
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert named == {f"3.{minor}" for minor in range(40) if f"3.{minor}.0" in allowed}


def test_the_table_of_extras_names_them_all() -> None:
    text = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    rows = text.partition("| extra | needed by |\n|---|---|\n")[2].partition("\n\n")[0]
    named = [name for row in rows.splitlines() for name in re.findall("`(.*?)`", row.split("|")[1])]
    assert sorted(named) == sorted(PROJECT["optional-dependencies"])


def test_the_tests_have_every_extra_that_they_need() -> None:
    """Extras that only a service or a launcher needs are installed for the slow tests."""
    (own,) = (r for r in map(Requirement, PROJECT["optional-dependencies"]["dev"])
              if r.name == PROJECT["name"])  # fmt: skip
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = {name for names in re.findall(r"'\.\[(.*?)\]'", makefile)
                 for name in names.split(",")}  # fmt: skip
    assert own.extras | installed == set(PROJECT["optional-dependencies"])


def top_imports() -> set[str]:
    """Packages of others that modules of ours import at the top of the file, or by core.lazy."""
    found = set()
    for path in (ROOT / "w2s_groups").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0] for name in names}
    found |= {name.partition(".")[0] for name in lazy._MODULES.values()}
    return found - sys.stdlib_module_names - {PROJECT["name"]}


def test_what_modules_import_comes_with_the_package() -> None:
    needed = {Requirement(line).name.lower() for line in PROJECT["dependencies"]}
    brought = {"omegaconf": "hydra-core", "markupsafe": "jinja2"}  # by these, at their versions
    own = packages_distributions()
    imported = {brought.get(name, own[name][0].lower()) for name in top_imports()}
    assert imported <= needed
    assert len(imported) > 8


def test_wilds_comes_with_its_extra_and_holds_pandas_at_2() -> None:
    needed = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert "wilds" not in needed
    extra = {r.name: r for r in map(Requirement, PROJECT["optional-dependencies"]["wilds"])}
    assert "3.0.0" not in extra["pandas"].specifier
    (pandas,) = (r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "pandas")
    assert "3.1.1" in pandas.specifier


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    """The core metadata that a build writes."""
    found: dict[str, Any] = json.loads(run("-m", "hatchling", "metadata", cwd=ROOT))
    return found


def test_links_of_the_readme_lead_somewhere_from_an_index(metadata: dict[str, Any]) -> None:
    assert metadata["readme"]["content-type"] == "text/markdown"
    text, original = metadata["readme"]["text"], (ROOT / "README.md").read_text(encoding="utf-8")
    links = ["".join(groups) for groups in LINK.findall(text)]
    assert len(links) == len(LINK.findall(original)) > 5
    tag = re.escape(f"v{PROJECT['version']}")
    inside = []
    for link in links:
        assert link.startswith("https://")
        found = re.fullmatch(rf"{re.escape(HOME)}/(?:blob|raw)/{tag}/(.+)", link)
        if found:
            assert (ROOT / found[1]).exists()
            inside.append(found[1])
    assert "reports/leaderboard/birds_mammals/gain_vs_eta_u.png" in inside
    assert f"git clone {HOME} &&" in text
    assert "<this repository>" not in text


def test_the_licence_is_an_expression_and_a_file(metadata: dict[str, Any]) -> None:
    assert metadata["license"] == "MIT"
    assert PROJECT["license-files"] == ["LICENSE"]  # the wheel has it, as the slow tests see


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
def test_the_wheel_is_typed_and_licensed_and_holds_nothing_else(installed: Path) -> None:
    (info,) = installed.glob("*.dist-info")
    assert {path.name for path in installed.iterdir()} == {"w2s_groups", info.name}
    assert (installed / "w2s_groups/py.typed").is_file()
    assert (info / "licenses/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    written = BytesParser().parsebytes((info / "METADATA").read_bytes())
    assert written["License-Expression"] == "MIT"
    assert written["Author"] == PROJECT["authors"][0]["name"]
    assert all(("".join(link)).startswith("https://") for link in LINK.findall(str(written)))
    assert not list(installed.rglob("__pycache__"))


@pytest.mark.slow
def test_the_wheel_of_the_sdist_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    def ours(*arguments: str) -> str:
        return run("-m", "w2s_groups", *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    def evaluated(code: str) -> str:
        return run("-c", code, cwd=tmp_path, PYTHONPATH=str(installed))

    where = evaluated("import w2s_groups; print(w2s_groups.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    assert "predict" in ours("--help")
    assert "n_l: 40" in ours(*SMALL, "--cfg", "job")
    ours(*SMALL)
    # What experiment=similarity and enhanced_w2s compare their numbers with.
    code = (
        "from w2s_groups.core.files import shipped; from w2s_groups.reports import published\n"
        "assert published.claims()\n"
        "print(*sorted(p.name for p in shipped('published', 'data/published').glob('*.csv')))"
    )
    assert evaluated(code).split() == sorted(
        p.name for p in (ROOT / "data/published").glob("*.csv")
    )
