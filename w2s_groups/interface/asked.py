"""What a call of the interface asks for: its data, its settings, and where things are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.experiment.inputs import Memory
from w2s_groups.interface.arrays import Arrays
from w2s_groups.interface.compose import configuration
from w2s_groups.interface.data import Data
from w2s_groups.schema.config import Config


def asked(
    data: Data | str, settings: Mapping[str, Any], folders: Mapping[str, str], of: str = "config"
) -> tuple[Config, Memory]:
    """The configuration that was asked for, and what remembers its data and features.

    folders: of what is stored. of: the command's file in conf/.
    """
    if isinstance(data, str):
        return configuration({"data": data, **folders, **settings}, command=of), Memory(8)
    if not isinstance(data, Data):
        raise InputError(
            f"data={type(data).__name__} is neither a w2s_groups.Data nor the name of a data set; "
            "make one with w2s_groups.Data(weak=..., strong=..., y=..., group=...)"
        )
    own = data.config
    kept = {"cache_dir": data.cache_dir} if data.cache_dir else {}
    if isinstance(own, Arrays):
        kept = {"cache_dir": folders["results_dir"]}
        taken = sorted({"teacher", "student"} & set(settings))
        if taken:
            raise InputError(f"{taken[0]}: the data are features already; leave {taken[0]} out")
        if not own.has_split and settings.get("splits", "given") == "given":
            raise InputError(
                'the data have no split; give split to Data, or splits="random" (or "crossed") here'
            )
    return configuration({**folders, **kept, **settings}, own, of), data.memory


@contextmanager
def folders_of(results_dir: str | Path | None) -> Iterator[dict[str, str]]:
    """Settings of the folders that are written to: results_dir, or one that is removed."""
    if results_dir is not None:
        yield {"results_dir": str(results_dir), "reports_dir": str(results_dir)}
        return
    with tempfile.TemporaryDirectory(prefix="w2s_groups-") as folder:
        yield {"results_dir": folder, "reports_dir": folder}
