"""The z⊗ψ solver against what a user would write on φ: normal equations and lstsq, same threads.

At d_z = 1024, n = 10240, p_w = 5; a batch is `BATCH` noise draws that share Z and ψ, and times are
per replicate. Every route solves to 1e-8 of the others. lstsq takes minutes: -m slow.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from held_rows import HeldRows

from w2s_groups.theory.solver import product_ridge

D_Z, N_ROWS, P, BATCH = 1024, 10240, 5, 20


def arrays():
    """Z (n, d_z) float32, psi (n, p) and targets (n, BATCH)."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((N_ROWS, D_Z), dtype=np.float32)
    psi = np.concatenate([np.ones((N_ROWS, 1)), 0.7 * rng.standard_normal((N_ROWS, P - 1))], axis=1)
    return z, psi, z[:, :1] + rng.standard_normal((N_ROWS, BATCH))


@pytest.fixture(scope="module")
def data():
    return arrays()


def dense_phi(z, psi):
    return (psi[:, :, None] * z[:, None, :].astype(np.float64)).reshape(len(z), -1)


def structured(z, psi, y):
    return product_ridge(HeldRows(z), psi[None], y[None], 0.0, tol=1e-8)


def ratio(benchmark, data, name, alternative, floor):
    z, psi, y = data
    solution = benchmark.pedantic(structured, (z, psi, y), rounds=2, warmup_rounds=1)
    ours = benchmark.stats.stats.min / BATCH
    start = time.perf_counter()
    reference = alternative(dense_phi(z, psi), y[:, 0])
    theirs = time.perf_counter() - start
    theta = solution.theta[0, 0].numpy().ravel()
    gap = np.linalg.norm(theta - reference) / np.linalg.norm(reference)
    benchmark.extra_info.update(
        {
            "seconds per replicate": ours,
            f"{name} seconds": theirs,
            "ratio": theirs / ours,
            "batch": BATCH,
            "threads": torch.get_num_threads(),
            "passes": solution.passes,
            "relative difference": gap,
        }
    )
    assert gap < 1e-8
    assert theirs / ours > floor


def test_against_normal_equations(benchmark, data):
    def normal(phi, y):
        return np.linalg.solve(phi.T @ phi, phi.T @ y)

    ratio(benchmark, data, "normal equations", normal, 8)


@pytest.mark.slow
def test_against_lstsq(benchmark, data):
    def lstsq(phi, y):
        return np.linalg.lstsq(phi, y, rcond=None)[0]

    ratio(benchmark, data, "lstsq", lstsq, 60)


PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = ["benchmarks", "tests/helpers"]
import numpy as np
import bench_solver as bench

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

z, psi, y = bench.arrays()
y = y[:, :1]
bench.structured(z[:6000], psi[:6000], y[:6000])  # libraries take their own memory once
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
before = status("VmRSS")
if sys.argv[1] == "structured":
    bench.structured(z, psi, y)
else:
    phi = bench.dense_phi(z, psi)
    np.linalg.solve(phi.T @ phi, phi.T @ y)
print(status("VmHWM") - before)
"""


@pytest.mark.slow
def test_memory_against_normal_equations(benchmark):
    """Peak memory above that of the data, each route in a process of its own, one replicate."""

    def grown(route: str) -> int:
        root = Path(__file__).resolve().parents[1]
        command = [sys.executable, "-c", PROGRAM, route]
        found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
        return int(found.stdout)

    ours = benchmark.pedantic(grown, ("structured",), rounds=1)
    dense = grown("dense")
    benchmark.extra_info.update(
        {
            "megabytes": ours / 1e6,
            "normal equations megabytes": dense / 1e6,
            "ratio": dense / ours,
        }
    )
    assert dense / ours > P
