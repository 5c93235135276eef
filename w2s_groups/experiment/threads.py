"""Threads of the heads of a run: as many as find a core, looked up as heads are solved."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from w2s_groups.core.lazy import torch
from w2s_groups.core.machine import Others, idle_cores

SECONDS = 0.5  # between two looks: the system counts work in hundredths of a second


class Threads:
    """Sets torch's threads, and afterwards sets them as they were.

    A head does not depend on their number.
    """

    def __init__(self, asked: int | None) -> None:
        """asked: by the user, whose number stays."""
        self.asked, self.most = asked, torch.get_num_threads()
        self.others = Others()
        self.due = 0.0

    def __enter__(self) -> Threads:
        self.look()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        torch.set_num_threads(self.most)

    def look(self) -> None:
        """Take the cores that other processes leave, unless the last look is too recent."""
        if self.asked is None and time.monotonic() >= self.due:
            torch.set_num_threads(idle_cores(self.others, self.most))
            self.due = time.monotonic() + SECONDS

    def after(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """`progress`, which is called as heads are solved, and a look."""

        def both(done: int, total: int) -> None:
            progress(done, total)
            self.look()

        return both
