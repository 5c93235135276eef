"""Measured peak memory of a solve against what `plan` states, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, json, sys
from pathlib import Path
import numpy as np
from w2s_groups.heads.solve import plan, solve
from w2s_groups.heads.problem import CrossEntropy, Problem, Squared

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

loss = {"logistic": CrossEntropy(), "ridge": Squared()}[sys.argv[1]]
n, d, heads = (int(word) for word in sys.argv[2:5])
limit = int(float(sys.argv[5]))
rng = np.random.default_rng(0)
X = {"student": rng.standard_normal((3000, d)).astype(np.float32)}

def problems(count, size):
    for k in range(count):
        rows = np.sort(rng.permutation(3000)[:size] if k % 10 == 0 else last)
        last = rows
        t = rng.random(size)
        yield Problem("student", rows, np.stack([1 - t, t], axis=1), loss, 1e-2)

solve(X, list(problems(2, 50)), tol=1e-5)  # libraries take their own memory once
made = list(problems(heads, n))
ctypes.CDLL(None).malloc_trim(0)  # or pages freed above serve the run, and it seems to need none
stated = plan(X, made, limit).bytes
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
before = status("VmRSS")
found = solve(X, made, tol=1e-5, memory_limit=limit)
results = sum(head.coef.nbytes for head in found)
print(json.dumps([stated, status("VmHWM") - before - results]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("loss", "n", "d", "heads", "limit"),
    [
        ("logistic", 1500, 400, 60, 2e9),
        ("logistic", 1500, 400, 60, 6e7),
        ("ridge", 1500, 600, 60, 2e9),
        ("ridge", 300, 600, 60, 2e9),
    ],
    ids=["logistic", "logistic in blocks", "ridge, primal", "ridge, dual"],
)
def test_peak_is_at_most_what_the_plan_states(
    loss: str, n: int, d: int, heads: int, limit: float
) -> None:
    command = [sys.executable, "-c", PROGRAM, loss, str(n), str(d), str(heads), str(limit)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    stated, measured = (int(word) for word in found.stdout.strip(" []\n").split(","))
    assert stated <= limit
    # Tasks copy rows, targets and weights before a block starts; allocators keep some pages.
    assert measured <= stated + heads * n * 8 * 4 + 20e6
    assert measured > 0.1 * stated
