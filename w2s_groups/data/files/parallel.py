"""Work on files, on a thread per core."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from w2s_groups.core.machine import cores
from w2s_groups.data.files.cache import Progress

_Item = TypeVar("_Item")


def run_all(
    task: Callable[[_Item], int], items: Iterable[_Item], total: int, step: str, progress: Progress
) -> None:
    """task(item) -> number of images made, of `total`. Stops at the first error."""
    done = 0
    progress(step, done, total)
    pool = ThreadPoolExecutor(cores())
    try:
        for made in pool.map(task, items):
            done += made
            progress(step, done, total)
    finally:
        pool.shutdown(cancel_futures=True)
