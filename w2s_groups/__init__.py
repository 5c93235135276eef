"""A benchmark of weak-to-strong generalisation under group imbalance, with exact theory.

`import w2s_groups` imports no library; what follows is imported when it is first used.
docs/python.md describes it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from w2s_groups import backbones, theory
    from w2s_groups.core.errors import InputError
    from w2s_groups.interface import datasets, plot
    from w2s_groups.interface.data import Data
    from w2s_groups.interface.predicting import predict
    from w2s_groups.interface.results import Results, leaderboard, read, report
    from w2s_groups.interface.running import Draw, draw, extract, run
    from w2s_groups.methods.plugins import method

__version__ = "0.1.0"
__all__ = [
    "Data",
    "Draw",
    "InputError",
    "Results",
    "backbones",
    "datasets",
    "draw",
    "extract",
    "leaderboard",
    "method",
    "plot",
    "predict",
    "read",
    "report",
    "run",
    "theory",
]
# Name -> module that has it; a module of its own where the name is its last part.
_WHERE = {
    "Data": "interface.data",
    "Draw": "interface.running",
    "InputError": "core.errors",
    "Results": "interface.results",
    "backbones": "backbones",
    "datasets": "interface.datasets",
    "draw": "interface.running",
    "extract": "interface.running",
    "leaderboard": "interface.results",
    "method": "methods.plugins",
    "plot": "interface.plot",
    "predict": "interface.predicting",
    "read": "interface.results",
    "report": "interface.results",
    "run": "interface.running",
    "theory": "theory",
}


def __getattr__(name: str) -> Any:
    """A public name, imported now."""
    if name not in _WHERE:
        raise AttributeError(f"module 'w2s_groups' has no attribute {name!r}")
    module = import_module(f"w2s_groups.{_WHERE[name]}")
    return module if module.__name__.rpartition(".")[2] == name else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
