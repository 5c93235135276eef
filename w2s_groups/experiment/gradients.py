"""How much memory gradients of networks may take, in the words of the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.core.machine import cores
from w2s_groups.schema.config import Config

T = TypeVar("T")
GB = 2**30
SHARE = 4  # the workers share so small a part of the limit, in addition to the heads' own memory


def limit(cfg: Config) -> int:
    """Bytes for the gradients of one batch."""
    return int(cfg.memory_limit_gb * GB) // SHARE // (cfg.workers or cores())


def within_limit(cfg: Config, work: Callable[[], T]) -> T:
    """work(); InputError for gradients that even of one sample are above the limit."""
    try:
        return work()
    except MemoryLimitError as error:
        workers = cfg.workers or cores()
        need = math.ceil(100 * error.need * SHARE * workers / GB) / 100
        raise InputError(
            f"memory_limit_gb={cfg.memory_limit_gb:g} is too small: {error.what} "
            f"{error.need / 1e6:.0f} MB, whatever ntk.k is, and {workers} workers share a quarter "
            f"of the limit; set memory_limit_gb={need:g} or more, workers=1 or ntk.parameters=last"
        ) from error
