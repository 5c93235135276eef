"""Heads while other processes run: the threads that a run chooses, against one and against all.

A block of one cell and one of a 3 x 3 grid, five methods, while 0, 1 or 3 other processes are busy.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from bench_logistic_grid import methods, pool

from w2s_groups.core.machine import cores
from w2s_groups.design.sampling import Request
from w2s_groups.experiment.block import run_block
from w2s_groups.experiment.pool import Pool
from w2s_groups.experiment.threads import Threads
from w2s_groups.heads.solve import solve
from w2s_groups.schema.cells import Cell

ETAS = {"one cell": (0.2,), "3 x 3 grid": (0.05, 0.2, 0.5)}
LIMIT = 1.3
ROUNDS = 2


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Others at work for as long."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def seconds(data: Pool, etas: tuple[float, ...], asked: int | None) -> float:
    """Of a block under a number of threads, or under those that a run chooses (None)."""
    torch.set_num_threads(asked or cores())
    cells = [Cell(Request(500, 2_000, a, b), 0) for a in etas for b in etas]
    start = time.perf_counter()
    with Threads(asked) as threads:
        solver = partial(solve, progress=threads.after(lambda done, total: None))
        run_block(cells, data, methods(), solver)
    return time.perf_counter() - start


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_threads_beside_other_work(processes: int, benchmark: Any) -> None:
    """The modes take turns, so that what else the machine does meets all of them."""
    data = pool(n_pool=6_000, n_test=1_000)
    before = torch.get_num_threads()
    ratios = {}

    def every() -> None:
        # With three others a grid on all threads takes minutes.
        for name, etas in list(ETAS.items())[: 1 if processes > 1 else None]:
            spent: dict[int | None, list[float]] = {1: [], cores(): [], None: []}
            for _ in range(ROUNDS):
                for asked, own in spent.items():
                    own.append(seconds(data, etas, asked))
            one, every, chosen = (min(own) for own in spent.values())
            ratios[name] = chosen / min(one, every)
            benchmark.extra_info.update(
                {
                    f"{name}, seconds with one thread": one,
                    f"{name}, seconds with all {cores()}": every,
                    f"{name}, ratio": ratios[name],
                }
            )

    seconds(data, (0.2,), 1)
    with busy(processes):
        benchmark.pedantic(every, rounds=1)
    torch.set_num_threads(before)
    benchmark.extra_info.update({"largest ratio": max(ratios.values())})
    assert max(ratios.values()) <= LIMIT
