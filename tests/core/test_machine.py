"""Threads follow the cores that other processes leave."""

from __future__ import annotations

import subprocess
import sys

import pytest

from w2s_groups.core import machine
from w2s_groups.core.machine import Others, idle_cores


@pytest.mark.skipif(not machine._STAT.is_file(), reason="only Linux counts the work of each core")
def test_the_work_of_others_is_counted_and_ones_own_is_not() -> None:
    look = Others(0.0)
    sum(k * k for k in range(3_000_000))
    own = look._last[2]
    look.busy()
    assert look._last[2] - own > 0.05  # counted as this process's
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert Others(0.6).busy() > 0.2
    finally:
        loop.kill()
        loop.wait()


@pytest.mark.parametrize(("busy", "threads"), [(0.0, 4), (0.4, 4), (1.0, 3), (2.6, 1), (9.0, 1)])
def test_threads_are_those_that_find_a_core(
    monkeypatch: pytest.MonkeyPatch, busy: float, threads: int
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 4)
    monkeypatch.setattr(Others, "busy", lambda self: busy)
    assert idle_cores(Others(0.0), 8) == threads
    assert idle_cores(Others(0.0), 2) == min(threads, 2)
