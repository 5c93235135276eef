"""Rooms of the package: imports go down the list of `ROOMS`, and nothing lies outside a room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import w2s_groups

PACKAGE = Path(w2s_groups.__file__).parent

# From the top floor down: a room may import from those below it.
ROOMS = (
    "cli",
    "testing",
    "interface",
    "experiment",
    "reports",
    "prediction",
    "theory_figures",
    "schema",
    "finetuning",
    "features",
    "figures",
    "similarity",
    "results",
    "methods",
    "data",
    "theory",
    "heads",
    "backbones",
    "kernel",
    "design",
    "core",
)
# Rooms that need only some of those below them.
ONLY = {
    "theory_figures": {"figures", "theory", "core"},
    "figures": {"results", "methods", "data", "core"},
    "similarity": {"design", "core"},
    "theory": {"core"},
}
# Older names that users may have written: a few lines each, which only hand on.
ALIASES = ("gaussian/__init__", "gaussian/__main__", "reports/__main__", "loggers", "sweep")


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file, without aliases."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if name not in (*ALIASES, "__init__", "__main__"):
            found[name.removesuffix("/__init__").replace("/", ".")] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Modules and packages of ours that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("w2s_groups"):
            prefix = str(node.module).removeprefix("w2s_groups").lstrip(".")
            for alias in node.names:
                inner = f"{prefix}.{alias.name}".lstrip(".")
                yield inner if inner in MODULES else prefix


def test_every_module_is_in_a_room() -> None:
    assert {name.partition(".")[0] for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down(name: str) -> None:
    own = name.partition(".")[0]
    below = set(ROOMS[ROOMS.index(own) + 1 :])
    for other in imported(MODULES[name]):
        room = other.partition(".")[0]
        assert room == own or room in ONLY.get(own, below), f"{name} must not import {other}"


def test_narrower_rules_go_down_too() -> None:
    for room, only in ONLY.items():
        assert only < set(ROOMS[ROOMS.index(room) + 1 :])


def test_no_module_imports_itself_in_a_circle() -> None:
    arrows = {
        name: [other for other in imported(path) if other != name and other in MODULES]
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in arrows[name]:
                walk(other, (*trail, name))
            done.add(name)

    for name in arrows:
        walk(name, ())


@pytest.mark.parametrize("name", [alias for alias in ALIASES if alias != "gaussian/__init__"])
def test_aliases_only_hand_on(name: str) -> None:
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
