"""The dimensions of two networks' features: time and memory against what is announced before."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

N, WIDTHS = 3_000, (512, 4_096)

# In a process of its own, whose peak is that of this work.
CODE = """
import resource, sys, time
import numpy as np
from w2s_groups.design.groups import Groups
from w2s_groups.similarity import leading
from w2s_groups.similarity.group_dimensions import pair_report
n, *widths = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
deviations = [1 / np.arange(1, d + 1) for d in widths]
one, two = ((rng.standard_normal((n, len(s))) * s).astype(np.float32) for s in deviations)
codes = np.arange(n) % 4
leading.seconds(n, *widths)
announced = leading.seconds(n, *widths)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
pair_report(one, two, codes, Groups(("0", "1"), ("0", "1")), seed=0)
spent = time.perf_counter() - start
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(spent, announced, peak, leading.need(n, *widths))
"""


def test_dimensions_against_what_is_announced(benchmark: Any) -> None:
    """Never much longer than announced, nor in more memory than planned for memory_limit_gb."""
    command = [sys.executable, "-c", CODE, *map(str, (N, *WIDTHS))]
    done = benchmark.pedantic(
        subprocess.run, (command,), {"check": True, "capture_output": True, "text": True}, rounds=1
    )
    spent, announced, peak, planned = map(float, done.stdout.split())
    benchmark.extra_info.update(
        {
            "seconds of the measurement": spent,
            "seconds announced": announced,
            "ratio": spent / announced,
            "gigabytes at the peak": peak / 2**30,
            "gigabytes at the peak, of those planned": peak / planned,
        }
    )
    assert spent / announced < 1.5
    assert peak / planned < 1.1
