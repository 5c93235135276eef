"""What this machine has for the work."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")  # Linux's count of what each core did


def cores() -> int:
    """Cores that this process may use."""
    return len(_own_cores()) or os.cpu_count() or 1


def _own_cores() -> set[int]:
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


class Others:
    """How many of this process's cores other processes keep busy."""

    def __init__(self, seconds: float = 0.1) -> None:
        """seconds: how long the first look waits."""
        self._last = _times()
        time.sleep(seconds)

    def busy(self) -> float:
        """Cores that others kept busy since the last look; 0 where the system does not say."""
        (wall, every, own), self._last = self._last, _times()
        passed = self._last[0] - wall
        return max(0.0, self._last[1] - every - (self._last[2] - own)) / max(passed, 1e-3)


def _times() -> tuple[float, float, float]:
    """Seconds of the clock, of work on the cores of this process, and of its own work."""
    mine, work = {f"cpu{k}" for k in _own_cores()}, 0
    for name, *ticks in map(str.split, _STAT.read_text().splitlines() if _STAT.is_file() else ()):
        if name in mine:
            user, nice, system, _, _, irq, softirq, steal = map(int, ticks[:8])
            work += user + nice + system + irq + softirq + steal
    own = os.times()
    return time.monotonic(), work / os.sysconf("SC_CLK_TCK") if work else 0.0, own[0] + own[1]


def idle_cores(others: Others, most: int) -> int:
    """Threads that find a core, 1 to `most`: a thread that waits for one holds up all of them."""
    return max(1, min(most, round(cores() - others.busy())))


def memory() -> float:
    """Bytes of memory of this machine, swap not counted; inf where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf
