"""What the pages say of the code exists: links, commands, rooms, functions, versions."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

import w2s_groups
from w2s_groups.cli import COMMANDS, theory
from w2s_groups.methods import METHODS
from w2s_groups.schema.config import Config

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*TOP, *GUIDES, *sorted((ROOT / "data").glob("*/README.md"))]
WIDTH = 100
# Files that the examples of the pages would add.
EXAMPLES = {
    "crockery",
    "sharpened",
    "test_sharpened",
    "worst_vs_average",
    "test_worst_vs_average",
    "train",
    "NAME",
}

ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def name_of(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Lines that are no code, table, link by itself or generated block, with their numbers."""
    fenced = generated = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        generated = (generated or line.startswith("<!--")) and "<!-- end -->" not in line
        if line.startswith("<!--") and "generated" not in line:
            generated = False
        if not (fenced or generated or line.startswith(("|", "<!--", "    ", "[!["))):
            yield number, line


def code(page: Path) -> Iterator[str]:
    """Commands in a page's code blocks, one a line, without comments."""
    for block in re.findall(r"^```\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        yield from block.replace("\\\n", " ").splitlines()


LINES = sorted({line for page in PAGES for line in code(page)})


def commands(*programs: str) -> list[list[str]]:
    """Arguments of every command on the pages that starts with one of the programs."""
    found = []
    for line in LINES:
        for program in programs:
            if re.match(rf"(\.venv/bin/)?{re.escape(program)}( |$)", line):
                found.append(shlex.split(line.partition(program)[2], comments=True))
    assert found
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        target = "".join(target)
        if not target.startswith(("http://", "https://", "mailto:")):
            file, _, anchor = target.partition("#")
            there = page.parent / file if file else page
            assert there.exists(), target
            assert not anchor or anchor in headings(there), target


def headings(page: Path) -> set[str]:
    """Anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in found}


@pytest.mark.parametrize("page", [*TOP, *GUIDES], ids=name_of)
def test_prose_is_wrapped_at_one_width(page: Path) -> None:
    assert [number for number, line in prose(page) if len(line) > WIDTH] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"\b((?:w2s_groups|tests|conf|benchmarks)/[\w/-]+\.\w+)\b", text):
        assert (ROOT / path).is_file() or Path(path).stem in EXAMPLES, path


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\* \[([\w-]+\.md)\]\(\1\): ", index, re.MULTILINE)
    assert sorted(named) == sorted({page.name for page in GUIDES} - {"README.md"})


def of_hydra(arguments: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The configuration and the overrides of each job that a command line asks for."""
    words = [word for word in arguments if not word.startswith("--") and word != "..."]
    config = words.pop(0) if words and words[0] in CONFIGURED else "config"
    words = words[1:] if config == "draws" else words  # draws export
    if "--multirun" in arguments:
        overrides = OverridesParser.create().parse_overrides(words)
        for jobs in BasicSweeper.split_arguments(overrides, None):
            yield from (("config", list(job)) for job in jobs)
    else:
        yield config.replace("run", "config"), words


CONFIGURED = [name for name, command in COMMANDS.items() if command.config]
BENCHMARK = [
    arguments
    for arguments in commands("python -m w2s_groups", "w2s-groups")
    if not arguments or "=" in arguments[0] or arguments[0] in CONFIGURED
    or arguments[0].startswith("--multirun")
]  # fmt: skip


@pytest.mark.parametrize("arguments", BENCHMARK, ids=" ".join)
def test_every_command_of_the_pages_configures_a_run(
    arguments: list[str], load: Callable[..., Config]
) -> None:
    for config, overrides in of_hydra(arguments):
        assert load(*overrides, of=config)


def test_other_commands_of_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for arguments in commands("make"):
        assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE), arguments
    for arguments in commands("w2s-groups"):
        if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
            assert arguments[0] in COMMANDS
    for page in PAGES:
        for path in re.findall(r"\bpython ([\w/]+\.py)\b", page.read_text(encoding="utf-8")):
            assert (ROOT / path).is_file() or Path(path).stem in EXAMPLES, f"{page}: {path}"


def test_the_guide_to_running_names_every_command() -> None:
    text = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`{name}`" not in text] == []


def test_the_theory_answers_the_question_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in commands("w2s-groups theory"):
        assert theory.main(arguments) == 0
    assert "gain" in capsys.readouterr().out


def test_the_architecture_shows_every_room_in_order() -> None:
    source = (ROOT / "tests/test_architecture.py").read_text(encoding="utf-8")
    listed = re.findall(r'^    "(\w+)",$', source.partition("ROOMS = (")[2].partition(")")[0], re.M)
    shown = re.findall(r"^  (\w+)/ {2,}\S.{10,}$", ARCHITECTURE, re.MULTILINE)
    assert listed
    assert shown == listed


NAMED = sorted(set(re.findall(r"`([a-z_]+(?:\.\w+)+)(?:\([^)`]*\))?`", ARCHITECTURE)))


@pytest.mark.parametrize("name", [name for name in NAMED if not name.endswith((".py", ".md"))])
def test_functions_that_the_walk_names_exist(name: str) -> None:
    parts = name.split(".")
    for k in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join([w2s_groups.__name__, *parts[:k]]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            found = getattr(found, part)
        return
    pytest.fail(f"no module of {name}")


def test_numbers_of_the_readme_and_the_citation_are_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert w2s_groups.__version__ == project["version"]
    theory_page = (ROOT / "docs/theory.md").read_text(encoding="utf-8")
    for reference in citation["references"]:
        (identifier,) = reference["identifiers"]
        assert identifier["value"].removeprefix("arXiv:") in theory_page
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(METHODS.built_in)} methods on" in readme
