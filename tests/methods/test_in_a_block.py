"""Every method of several fits or told groups, run through a block of cells on a small pool."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_heads import fit

from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.experiment.block import run_block
from w2s_groups.experiment.pool import Pool, standardise
from w2s_groups.heads.problem import Head, Problem
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Method
from w2s_groups.schema.cells import Cell

GROUPS = Groups(("mammal", "bird"), ("land", "water"))
SETTINGS: dict[str, dict[str, Any]] = {
    "teacher": {},
    "w2s": {},
    "tuned_teacher": {"l2_path": [1e-3, 1e-2, 1e-1, 1.0], "folds": 5},
    "w2s_tuned": {},
    "adaptive_confidence": {"rounds": 3},
    "jtt": {"l2_first": 1.0, "upweight": 5.0},
    "afr": {"folds": 5, "gamma": 4.0},
    "ceiling": {},
    "dfr": {},
    "group_dro": {"gap": 1e-4, "rounds": 60},
    "ensemble": {"teachers": 5, "l2_teachers": 1e-2},
    "majority_vote": {"teachers": 5, "l2_teachers": 1e-2},
    "raven": {"teachers": 5, "l2_teachers": 1e-2, "step": 10.0, "rounds": 2},
    "chain": {"students": 3, "ratio": 10.0},
    "iterated": {"rounds": 2},
    "graph_smoothed": {"k": 10, "alpha": 0.5},
    "learnt_selector": {"threshold": 0.7, "l2_selector": 1.0, "k": 10, "alpha": 0.5},
}
ALL: dict[str, Method] = {
    name: METHODS[name](l2=1e-2, **settings) for name, settings in SETTINGS.items()
}
CELLS = [
    Cell(Request(60, 160, eta_l, eta_u), seed)
    for eta_l, eta_u in ((0.0, 0.1), (0.5, 0.0), (0.2, 0.2))
    for seed in (0, 1)
]


@pytest.fixture(scope="module")
def pool() -> Pool:
    """The class shows weakly in both sides, the attribute strongly in the student's too."""
    rng = stream(0, "test/block")
    y, a = rng.integers(0, 2, (2, 1000))
    signal = np.stack([2 * y - 1, 2 * a - 1], axis=1)
    features = {}
    for side, scale in {"teacher": (0.5, 1.0), "student": (1.0, 1.0)}.items():
        x = np.concatenate([signal * scale, np.zeros((1000, 6))], axis=1)
        noisy = (x + rng.standard_normal(x.shape)).astype(np.float32)
        features[side] = standardise(noisy, np.arange(600))
    return Pool(
        features, y, GROUPS.codes(y, a), np.arange(600), np.arange(600, 1000), GROUPS,
        np.full(2, 0.5),
    )  # fmt: skip


def exactly(features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]) -> list[Head]:
    return [fit(features[p.side], p, 1e-9) for p in problems]


def test_every_method_of_a_block_is_tested_on_every_group(pool: Pool) -> None:
    for atoms, *_ in run_block(CELLS, pool, ALL, solve):
        tested = [r for r in atoms if r["split"] == "test"]
        assert {r["method"] for r in tested} == set(ALL)
        assert all(0 <= r["value"] <= 1 for r in tested)


def test_the_grid_solver_serves_every_round_of_every_method(pool: Pool) -> None:
    """Every stored number is that of heads that SciPy fits one by one."""
    assert run_block(CELLS, pool, ALL, solve) == run_block(CELLS, pool, ALL, exactly)


def test_told_of_groups_the_worst_group_is_better_than_the_ceilings(pool: Pool) -> None:
    """Rare minority groups in a pool whose attribute misleads: the references must see them."""
    cells = [Cell(Request(60, 200, 0.1, 0.05), seed) for seed in range(6)]
    methods = {name: ALL[name] for name in ("teacher", "ceiling", "dfr", "group_dro")}
    blocks = [ran.records for ran in run_block(cells, pool, methods, exactly)]

    def worst(method: str) -> float:
        return float(
            np.mean(
                [
                    min(r["value"] for r in b if r["method"] == method and r["split"] == "test")
                    for b in blocks
                ]
            )
        )

    assert worst("dfr") > worst("ceiling") + 0.1
    assert worst("group_dro") > worst("ceiling") + 0.1


def test_three_classes_give_the_same_alone_and_together() -> None:
    """A selector of two classes is solved next to students of three."""
    rng = stream(0, "test/block/three")
    y, a = rng.integers(0, 3, (2, 900))
    groups = Groups(("cat", "dog", "hen"), ("land", "water", "sky"))
    signal = np.concatenate([np.eye(3)[y], np.eye(3)[a]], axis=1)
    features = {
        side: standardise(
            (signal * scale + 0.6 * rng.standard_normal(signal.shape)).astype(np.float32),
            np.arange(600),
        )
        for side, scale in (("teacher", 0.5), ("student", 1.0))
    }
    pool = Pool(
        features, y, groups.codes(y, a), np.arange(600), np.arange(600, 900), groups,
        np.full(3, 1 / 3),
    )  # fmt: skip
    methods = {name: own for name, own in ALL.items() if name != "group_dro"}  # needs more rounds
    cells = [Cell(Request(60, 120, eta, 0.3), seed) for eta in (0.1, 0.5) for seed in (0, 1)]
    together = run_block(cells, pool, methods, solve)
    for cell, own in zip(cells, together, strict=True):
        assert run_block([cell], pool, methods, solve) == [own]
        assert {r["method"] for r in own.records if r["split"] == "test"} == set(methods)
