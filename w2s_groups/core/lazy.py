"""Libraries that are slow to import, each imported when a function first uses it.

`from w2s_groups.core.lazy import pandas as pd` costs nothing, and `pd.concat(...)` imports pandas.
A command then answers before it has loaded what only its report, its figures or its tables need.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pandas
    import pyarrow as pyarrow
    import torch as torch
    from matplotlib import colors as colors
    from matplotlib import figure as figure
    from matplotlib import lines as lines
    from matplotlib import patches as patches
    from matplotlib import patheffects as patheffects
    from matplotlib import ticker as ticker
    from matplotlib.backends import backend_agg as backend_agg
    from scipy import optimize as optimize
    from scipy import sparse as sparse
    from scipy import special as special
    from scipy import stats as stats
    from scipy.sparse import csgraph as csgraph

    arrow_csv: Any  # pyarrow has no types
    compute: Any
    parquet: Any


class Later(ModuleType):
    """A module by its name, whose attributes are those of the module that is then imported."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


# Name here -> module.
_MODULES = {
    "arrow_csv": "pyarrow.csv",
    "backend_agg": "matplotlib.backends.backend_agg",
    "colors": "matplotlib.colors",
    "compute": "pyarrow.compute",
    "csgraph": "scipy.sparse.csgraph",
    "figure": "matplotlib.figure",
    "lines": "matplotlib.lines",
    "optimize": "scipy.optimize",
    "pandas": "pandas",
    "parquet": "pyarrow.parquet",
    "patches": "matplotlib.patches",
    "patheffects": "matplotlib.patheffects",
    "pyarrow": "pyarrow",
    "sparse": "scipy.sparse",
    "special": "scipy.special",
    "stats": "scipy.stats",
    "ticker": "matplotlib.ticker",
    "torch": "torch",
}
globals().update({name: Later(module) for name, module in _MODULES.items()})
