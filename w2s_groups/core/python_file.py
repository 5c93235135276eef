"""A Python file of the user's, run as a module; where it went wrong, for one sentence."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

# Modules of such files lie below this one, each named by its file's path, so that another process
# (a job of a sweep) that is handed one of their classes finds the file by itself.
__path__: list[str] = []


def name_of(path: Path) -> str:
    """The name of a file's module: its absolute path in hexadecimal, which names may hold."""
    return f"{__name__}.x{str(path.absolute()).encode().hex()}"


def run(path: Path) -> ModuleType:
    """Run a file and return its module. An error that the file raises is passed on."""
    name = name_of(path)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # a .py file always has a loader
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses in the file look themselves up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def path_of(name: str) -> Path | None:
    """The file of a module that `run` made; None for any other name."""
    parent, _, own = name.rpartition(".")
    if parent != __name__ or not own.startswith("x"):
        return None
    return Path(bytes.fromhex(own[1:]).decode())


def reason(path: Path, error: Exception) -> str:
    """The error and the last line of the user's file that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).absolute() == path.absolute()]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())[:300]}"


class _Files(MetaPathFinder):
    """Finds the modules that `name_of` names."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = path_of(name)
        return None if file is None else spec_from_file_location(name, file)


sys.meta_path.append(_Files())
