"""Data sets by name, as `Data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from w2s_groups.data import DATASETS
from w2s_groups.experiment import inputs
from w2s_groups.experiment.inputs import Memory
from w2s_groups.interface.compose import configuration
from w2s_groups.interface.data import Data


def names() -> list[str]:
    """Names that `load` knows."""
    return sorted(DATASETS)


def load(name: str, *, cache_dir: str | Path | None = None, **settings: Any) -> Data:
    """The data set of that name; what has to be fetched or built for it is cached.

    settings: keys of conf/data/NAME.yaml, such as n_pool=640. cache_dir: where what is built is
    kept; None: .cache/w2s_groups, as for the command line. Raises InputError for a name, a key or
    a value that does not fit, and for files that are missing.
    """
    place = {} if cache_dir is None else {"cache_dir": str(cache_dir)}
    own = {f"data.{key}": value for key, value in settings.items()}
    cfg = configuration({"data": name, **own, **place})
    memory = Memory(8)
    dataset = memory.get(inputs.question_of(cfg), lambda: inputs.load_dataset(cfg))
    return Data.of(cfg.data, dataset, memory, str(cache_dir or ""))
