"""memory_limit_gb: refused before features are computed, with a value that is enough."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from squares import SMALL, make_folder, places

from w2s_groups.core.errors import InputError
from w2s_groups.experiment import job, memory_limit, predict
from w2s_groups.experiment.block import run_block
from w2s_groups.experiment.prepare import prepare
from w2s_groups.features import extraction
from w2s_groups.heads.problem import Head, Problem
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
NET = """
from torch import nn

def wide():
    return nn.Sequential(nn.AdaptiveAvgPool2d(24), nn.Flatten())  # 1728 features
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("wide")
    (root / "net.py").write_text(NET)
    return (
        *(*SMALL, *places(make_folder(root / "data"), root / "cache", root)),
        *(f"teacher=module/{root}/net.py:wide", f"student=module/{root}/net.py:wide"),
        *("seeds=[0]", "eta_u=0.5", "methods=[teacher,w2s]"),
    )


def test_too_little_memory_is_refused_before_extraction(
    load: Load, wide: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "extract", lambda *_, **__: pytest.fail("features"))
        with pytest.raises(InputError, match=r"^memory_limit_gb=0\.05 is too small: ") as caught:
            job.run(load(*wide, "memory_limit_gb=0.05"))
    assert "bytes" not in str(caught.value)
    assert not job.run(load(*wide, advised(caught.value))).failed


def advised(error: InputError) -> str:
    """The override that the sentence of an error names."""
    found = re.search(r"set (memory_limit_gb=[\d.]+) or more", str(error))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("head", ["logistic", "ridge"])
def test_the_value_that_is_advised_is_enough_for_every_head(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    monkeypatch.setattr(memory_limit, "GB", 2**14)  # a small run needs little
    own = (
        *("data=gaussian", "data.n_pool=400", "data.n_test=60", "data.d_z=4", "seeds=[0]"),
        *("n_l=[30,60]", "n_u=[50,150]", "eta_l=0.25", "eta_u=0.25", f"cache_dir={tmp_path}"),
        *(f"results_dir={tmp_path}", f"reports_dir={tmp_path}", f"head={head}"),
        "methods=[teacher,w2s,ceiling,combined]",
    )
    with pytest.raises(InputError, match=r"^memory_limit_gb=0\.05 is too small: ") as caught:
        job.run(load(*own, "memory_limit_gb=0.05"))
    assert not job.run(load(*own, advised(caught.value))).failed


def test_heads_that_a_prediction_measures_are_checked_too(
    load: Load, wide: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "extract", lambda *_, **__: pytest.fail("features"))
    asked = [
        *wide,
        "head=logistic",
        "eta_l=[0.25,0.5]",
        "eta_u=[0.25,0.5]",
        "measure_eta=[0.25]",
        "n_l_path=[]",
    ]
    cfg = load(*asked, "memory_limit_gb=0.05", "measure=true", "n_u_path=[]", of="predict")
    with pytest.raises(InputError, match=r"^memory_limit_gb=0\.05 is too small: "):
        predict.prepare_maps(cfg)  # type: ignore[arg-type]


def test_the_rehearsal_asks_for_heads_as_large_as_the_run_does(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every method: the most rows on each side, which the memory of a head follows from."""
    cfg = load(
        *("data=gaussian", "data.n_pool=800", "data.n_test=60", "data.d_z=4", "seeds=[0]"),
        *("n_l=60", "n_u=150", "eta_l=0.25", "eta_u=0.25", f"cache_dir={tmp_path}"),
        f"methods=[{','.join(name for name, kind in METHODS.items() if not kind.needs_prompts)}]",
    )
    prepared = prepare(cfg)
    pool = prepared.pair(*cfg.pairs[0]).pool
    methods = cfg.resolved({"teacher": 1, "student": 1})

    def largest(problems: Sequence[Problem], of: dict[str, int]) -> None:
        for problem in problems:
            of[problem.side] = max(of[problem.side], len(np.unique(problem.rows)))

    really: dict[str, int] = defaultdict(int)
    rehearsed: dict[str, int] = defaultdict(int)

    def recorded(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Head]:
        largest(problems, really)
        return solve(features, problems, tol=1e-2)

    run_block(prepared.cells, pool, methods, recorded)
    with monkeypatch.context() as patch:
        patch.setattr(
            memory_limit.work, "divided", lambda shapes, asked, limit: largest(asked, rehearsed)
        )
        everything = np.ones(len(prepared.dataset.y), dtype=bool)
        memory_limit.check(cfg, prepared.dataset, everything, prepared.cells, lambda *_: 1)
    assert rehearsed == really == {"teacher": 150, "student": 210}
