"""What a job measures of two networks, and under which name it keeps that."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from multirun import SMALL, places

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.experiment import dimensions, identity, job
from w2s_groups.experiment.inputs import Memory
from w2s_groups.experiment.pool import make_pool
from w2s_groups.experiment.prepare import prepare
from w2s_groups.results import store
from w2s_groups.schema.choices import ClassBalance, Task
from w2s_groups.schema.config import Config
from w2s_groups.similarity import leading

Load = Callable[..., Config]


def test_dimensions_are_of_the_features_that_heads_see(load: Load, tmp_path: Path) -> None:
    """Units and offsets of a network's features, which heads never see, change no dimension."""
    cfg = load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    prepared = prepare(cfg)
    pair = prepared.pair(*cfg.pairs[0])
    shifted = {
        side: (matrix * np.geomspace(0.1, 40, matrix.shape[1], dtype=np.float32) + 3).astype("f4")
        for side, matrix in pair.features.items()
    }
    pool = make_pool(prepared.dataset, shifted, prepared.loaded.usable, cfg.class_balance.value)
    content = {side: f"{key} in other units" for side, key in pair.content.items()}
    other = replace(pair, features=shifted, content=content, make=lambda: pool)
    own, scaled = (dimensions.of_pair(prepared, each) for each in (pair, other))
    assert [row["value"] for row in own] == pytest.approx(
        [row["value"] for row in scaled], rel=1e-3
    )
    assert len(list((tmp_path / "results/pairs").iterdir())) == 2


def test_a_measurement_in_the_networks_own_units_is_not_taken_for_it(
    load: Load, tmp_path: Path
) -> None:
    cfg = load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    prepared = prepare(cfg)
    pair = prepared.pair(*cfg.pairs[0])
    older = tmp_path / "results/pairs" / f"{store.digest(identity.measured(pair))[:16]}.json"
    older.parent.mkdir(parents=True)
    older.write_text(json.dumps([]))
    rows = dimensions.of_pair(prepared, pair)
    assert "standardised" in rows[0]["definition"]
    assert json.loads(older.read_text()) == []
    assert dimensions.of_pair(prepared, pair) == rows


def test_dimensions_are_measured_where_they_are_asked_for_and_fit(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "w2s_groups")
    cfg = load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    prepared = prepare(cfg)
    pair = prepared.pair(*cfg.pairs[0])
    assert dimensions.of_pair(replace(prepared, cfg=replace(cfg, dimensions=False)), pair) == []
    assert not caplog.records
    with monkeypatch.context() as patch:
        patch.setattr(leading, "need", lambda n, *widths: 5 * 2**30)
        assert dimensions.of_pair(prepared, pair) == []
    assert "need 5.0 GB, more than memory_limit_gb=4: left blank" in caplog.text
    assert not (tmp_path / "results/pairs").exists()
    assert dimensions.of_pair(prepared, pair)
    assert re.search(r"samples: about \d+ s; dimensions=false leaves them out", caplog.text)


def test_what_was_read_is_named_whole(load: Load, tmp_path: Path) -> None:
    """A sweep tells by it whether its jobs read the same."""
    cfg = load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    pair = prepare(cfg).pair(*cfg.pairs[0])
    expected = {f"{side} {pair.networks[side]}": key for side, key in pair.content.items()}
    rows = f"rows of {pair.networks['teacher']} -> {pair.networks['student']}"
    assert job.run(cfg).content == {**expected, rows: pair.rows}


def test_dimensions_are_kept_by_the_rows_that_they_are_of(load: Load, tmp_path: Path) -> None:
    cfg = load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    prepared = prepare(cfg)
    pair = prepared.pair(*cfg.pairs[0])
    dimensions.of_pair(prepared, pair)
    dimensions.of_pair(prepared, replace(pair, rows="others"))
    assert len(list((tmp_path / "results/pairs").iterdir())) == 2


def test_jobs_share_a_pool_only_under_the_settings_that_make_it(load: Load, tmp_path: Path) -> None:
    cfg = load(*SMALL, "head=ridge", *places(tmp_path))
    memory = Memory(8)
    (pair,) = cfg.pairs
    first = prepare(cfg, memory).pair(*pair).pool
    assert prepare(cfg, memory).pair(*pair).pool is first
    for other in ({"class_balance": ClassBalance.dataset}, {"task": Task.regression}):
        changed = prepare(replace(cfg, **other), memory)
        assert changed.pair(*pair).pool is not first


def read_only(below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's answers on a read-only disk; modes of folders do not bind root."""

    def refusing(real: Callable[..., Any], reads: int = 0) -> Callable[..., Any]:
        def call(path: Any, *more: Any, **named: Any) -> Any:
            writes = not reads or (more and more[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if writes and Path(str(path)).is_relative_to(below):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return real(path, *more, **named)

        return call

    monkeypatch.setattr(os, "open", refusing(os.open, reads=1))
    for name in ("mkdir", "unlink", "replace", "rename", "rmdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))


def test_a_complete_store_is_reported_from_a_read_only_disk(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", *places(tmp_path))
    run.run(cfg)
    reports = tmp_path / "reports/leaderboard/gaussian"
    first = (reports / "leaderboard.csv").read_bytes()
    shutil.rmtree(tmp_path / "reports")
    stored = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.json")}
    read_only(tmp_path / "results", monkeypatch)
    run.run(cfg)
    assert (reports / "leaderboard.csv").read_bytes() == first
    for more in (replace(cfg, seeds=[0, 1]), replace(cfg, experiment_name="other")):
        with pytest.raises(InputError, match=r"results_dir=.*can't be written to"):
            run.run(more)
    assert {path: path.read_bytes() for path in stored} == stored
