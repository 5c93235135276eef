"""The site of docs/: every page in its navigation, and a build in which every link is valid."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


class Loader(yaml.SafeLoader):
    """YAML whose tags of MkDocs, !ENV and !!python/name, are read as nothing."""


Loader.add_multi_constructor("!ENV", lambda *_: None)
Loader.add_multi_constructor("tag:yaml.org,2002:python/name", lambda *_: None)


def configuration() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    return found


def pages(nav: Any) -> Iterator[str]:
    """Files of a navigation, from the top."""
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from pages(part)


def test_the_navigation_has_every_page_in_the_order_of_the_index() -> None:
    listed = list(pages(configuration()["nav"]))
    assert sorted(listed) == [page.name for page in PAGES]
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert listed == ["README.md", *re.findall(r"^\* \[[\w-]+\.md\]\((.*?)\): ", index, re.M)]


def test_read_the_docs_builds_with_what_the_tests_build_with() -> None:
    of_site = yaml.safe_load((ROOT / ".readthedocs.yaml").read_text(encoding="utf-8"))
    assert of_site["mkdocs"] == {"configuration": "mkdocs.yml", "fail_on_warning": True}
    (line,) = of_site["build"]["jobs"]["install"]
    of_tests = [r for r in map(Requirement, PROJECT["optional-dependencies"]["dev"])
                if r.name in ("mkdocs", "markdown")]  # fmt: skip
    assert [Requirement(quoted) for quoted in re.findall('"(.*?)"', line)] == of_tests


def test_workflows_are_yaml_that_runs_what_is_here() -> None:
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        for step in steps:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step.get("uses", "a/b@v1"))
            for script in re.findall(r"bash (\S+)", step.get("run", "")):
                assert (ROOT / script).is_file()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as Read the Docs builds it for a tag."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT, env={**os.environ, "READTHEDOCS_GIT_IDENTIFIER": "v9.8.7"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def html_of(page: Path, site: Path) -> str:
    """The main part of a built page."""
    folder = site if page.stem == "README" else site / page.stem
    text = (folder / "index.html").read_text(encoding="utf-8")
    return text[text.index('role="main"') : text.index("<footer")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_to_other_files_lead_to_the_repository(page: Path, site: Path) -> None:
    html, text = html_of(page, site), page.read_text(encoding="utf-8")
    outside = re.findall(r"\]\((\.\./[^)\s]+)\)", text)
    at = f"{PROJECT['urls']['Repository']}/blob/v9.8.7/"
    linked = re.findall(rf'href="{re.escape(at)}([^"#]*)', html)
    assert len(linked) == len(outside)
    assert all((ROOT / path).exists() for path in linked)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_built_page_has_the_parts_of_its_source(page: Path, site: Path) -> None:
    """As CommonMark reads it, so that the site and the repository show the same."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    html, expected = html_of(page, site), markdown.render(page.read_text(encoding="utf-8"))
    for tag in ("h2", "h3", "p", "ul", "ol", "li", "table", "tr", "pre", "code", "em", "strong"):
        of = re.compile(rf"<{tag}[ >]")
        assert len(of.findall(html)) == len(of.findall(expected)), tag
