"""A cell is one number: its stored values do not depend on what is solved with it, or with what."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.experiment.block import run_block
from w2s_groups.experiment.pool import Pool, standardise
from w2s_groups.heads.kernels import Kernels
from w2s_groups.heads.problem import Squared
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Method
from w2s_groups.methods.selective import Init, Labels, Targets
from w2s_groups.schema.cells import Cell

GROUPS = Groups(("mammal", "bird"), ("land", "water"))
SETTINGS: dict[str, dict[str, Any]] = {
    "tuned_teacher": {"l2_path": [1e-3, 1e-1], "folds": 3},
    "selective": {
        "keep": 0.5, "q": 0.7, "init": Init.zero, "labels": Labels.teacher, "targets": Targets.hard,
    },
    "selection_only": {"keep": 0.5},
    "gce_only": {"q": 0.7},
    "confidence": {"alpha": 0.5},
    "adaptive_confidence": {"rounds": 3},
    "jtt": {"l2_first": 1.0, "upweight": 5.0},
    "afr": {"folds": 5, "gamma": 4.0},
    "group_dro": {"gap": 1e-4, "rounds": 60},
    "ensemble": {"teachers": 5, "l2_teachers": 1e-3},
    "majority_vote": {"teachers": 5, "l2_teachers": 1e-3},
    "raven": {"teachers": 5, "l2_teachers": 1e-3, "step": 10.0, "rounds": 2},
    "chain": {"students": 3, "ratio": 10.0},
    "iterated": {"rounds": 2},
    "graph_smoothed": {"k": 10, "alpha": 0.5},
    "learnt_selector": {"threshold": 0.7, "l2_selector": 1.0, "k": 10, "alpha": 0.5},
}  # fmt: skip
ALL: dict[str, Method] = {
    name: kind(l2=1e-3, **SETTINGS.get(name, {}))
    for name, kind in METHODS.items()
    if not kind.needs_prompts  # heads that are given: tests/experiment/test_prompts.py
}
RIDGE = {name: method for name, method in ALL.items() if "ridge" not in method.unsupported}
ETAS = (0.05, 0.2, 0.35, 0.5)


@pytest.fixture(scope="module")
def pool() -> Pool:
    """More features than rows, so that heads interpolate, and a tenth of the rows twice."""
    rng = stream(0, "test/one-number")
    y, a = rng.integers(0, 2, (2, 900))
    signal = np.stack([2 * y - 1, 2 * a - 1], axis=1)
    features = {}
    for side, scale, d in (("teacher", (0.5, 1.0), 40), ("student", (1.0, 1.0), 120)):
        x = np.concatenate([signal * scale, np.zeros((900, d - 2))], axis=1)
        x = x + rng.standard_normal(x.shape)
        x[60:120] = x[:60]
        features[side] = standardise(x.astype(np.float32), np.arange(600))
    y[60:120], a[60:120] = y[:60], a[:60]
    return Pool(
        features, y, GROUPS.codes(y, a), np.arange(600), np.arange(600, 900), GROUPS,
        np.full(2, 0.5),
    )  # fmt: skip


def drawn(n: int) -> list[Cell]:
    """n cells of a grid of 10 seeds, those of a seed side by side as in a run."""
    whole = [
        Cell(Request(40, 90, eta_l, eta_u, 20), seed)
        for seed, eta_l, eta_u in itertools.product(range(25), ETAS, ETAS)
    ]
    chosen = stream(0, "test/one-number/cells").choice(len(whole), n, replace=False)
    return [whole[index] for index in sorted(chosen)]


def differences(pool: Pool, cells: list[Cell], alone: list[Cell]) -> list[tuple[Any, ...]]:
    """Stored values of `alone`, each run by itself, that are others among `cells`."""
    together = dict(zip(cells, run_block(cells, pool, ALL, solve), strict=True))
    found = []
    for cell in alone:
        (own,) = run_block([cell], pool, ALL, solve)
        assert len(own) == len(together[cell])
        for one, other in zip(own, together[cell], strict=True):
            if one != other:
                found.append((cell, one, other))
    return found


@pytest.mark.parametrize("threads", [1, max(2, torch.get_num_threads())])
def test_a_cell_alone_is_the_cell_in_a_grid(pool: Pool, threads: int) -> None:
    """60 cells of all methods; each of them is run by itself with one or more threads."""
    before = torch.get_num_threads()
    cells = drawn(60)
    half = cells[::2] if threads == 1 else cells[1::2]
    try:
        torch.set_num_threads(threads)
        assert differences(pool, cells, half) == []
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_four_hundred_cells_alone_and_together(pool: Pool) -> None:
    cells = drawn(400)
    assert differences(pool, cells, cells) == []


def test_threads_blocks_and_kept_kernels_change_nothing(pool: Pool) -> None:
    cells = drawn(12)
    together = run_block(cells, pool, ALL, solve)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(before, 2))
        assert run_block(cells, pool, ALL, solve) == together
    finally:
        torch.set_num_threads(before)

    def in_small_blocks(features: Any, problems: Any) -> Any:
        return solve(features, problems, memory_limit=3 * 2**20, kernels=Kernels(2**20))

    assert run_block(cells, pool, ALL, in_small_blocks) == together


def test_ridge_heads_alone_and_together(pool: Pool) -> None:
    cells = drawn(20)
    for ridge in (Squared(), Squared((1e-3, 1e-1))):
        together = run_block(cells, pool, RIDGE, solve, ridge)
        for cell, atoms in zip(cells, together, strict=True):
            assert run_block([cell], pool, RIDGE, solve, ridge)[0] == atoms


@pytest.mark.cuda
def test_a_gpu_stores_what_a_cpu_stores(pool: Pool) -> None:
    cells = drawn(60)

    def on_gpu(features: Any, problems: Any) -> Any:
        return solve(features, problems, device="cuda")

    assert run_block(cells, pool, ALL, on_gpu) == run_block(cells, pool, ALL, solve)
