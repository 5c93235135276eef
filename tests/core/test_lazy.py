"""Libraries that are slow to import wait until a function uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from w2s_groups.core import lazy

BEFORE_CELLS = "w2s_groups.cli.runner w2s_groups.cli.run w2s_groups.cli.predict w2s_groups.cli.plan"
EVERY_ROOM = "w2s_groups.experiment.job w2s_groups.experiment.predict w2s_groups.reports.rebuild"


@pytest.mark.parametrize(
    ("modules", "waiting"),
    [
        (BEFORE_CELLS, {"torch", "pandas", "scipy", "matplotlib", "pyarrow"}),
        (EVERY_ROOM, {"pandas", "scipy", "matplotlib", "pyarrow"}),
        (
            "w2s_groups.cli.stored w2s_groups.cli.theory_answer",
            {"torch"},
        ),
    ],
)
def test_no_module_imports_what_it_does_not_use_yet(modules: str, waiting: set[str]) -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {modules.split()}: importlib.import_module(name)\n"
        f"print(sorted({waiting} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_name_is_the_module_of_its_library() -> None:
    for name in lazy._MODULES:
        module = getattr(lazy, name)
        assert module.__getattr__("__name__") == lazy._MODULES[name]


def test_a_name_that_the_library_lacks_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'none_such'"):
        _ = lazy.pandas.none_such  # type: ignore[attr-defined]
