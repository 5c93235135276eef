"""Runs whose heads do not fit into memory: solved by blocks of rows, or refused before any work."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from many_rows import measured, write

from w2s_groups.core import mapped
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.experiment import job, memory_limit, solvers
from w2s_groups.experiment.pool import affine, standardise
from w2s_groups.features import feature_files
from w2s_groups.heads import row_blocks
from w2s_groups.results import store
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
N, WIDTHS = 900, {"weak": 6, "strong": 9}
METHODS = "methods=[teacher,w2s,baseline,ceiling,hard,combined]"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A table of texts whose features are in files that are mapped."""
    monkeypatch.setattr(feature_files, "MAPPED", 1000)
    rng = stream(0, "test/row_blocks")
    y, a = rng.integers(0, 2, (2, N))
    for name, width in WIDTHS.items():
        X = rng.standard_normal((N, width)) * 3 + 1
        X[:, 0] += y
        X[:, 1] += 0.7 * a
        np.save(tmp_path / f"{name}.npy", X.astype(np.float32))
    texts = [f"text {k}" for k in range(N)]
    split = np.where(np.arange(N) % 5 == 0, 2, 0)
    table = pd.DataFrame({"text": texts, "y": y, "a": a, "split": split})
    table.to_csv(tmp_path / "table.csv", index=False)
    return [
        *("data=metadata_csv", "data.name=rows", f"data.root={tmp_path}", "data.table=table.csv"),
        *("data.text_columns=[text]", "seeds=[0]", "n_l=60", "n_u=[150,200]", "dimensions=false"),
        *("eta_l=0.25", "eta_u=[0.25,0.5]", f"cache_dir={tmp_path}", METHODS),
        *(f"teacher=file/{tmp_path}/weak.npy", f"student=file/{tmp_path}/strong.npy"),
    ]


def scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that a small run does not keep."""
    monkeypatch.setattr(memory_limit, "GB", 2**18)
    monkeypatch.setattr(memory_limit, "LISTED", 0)
    monkeypatch.setattr(memory_limit, "DRAWN", 0)
    monkeypatch.setattr(row_blocks, "LEAST", 4)


def ran(load: Load, files: list[str], folder: Path, *more: str) -> pd.DataFrame:
    """The stored table of a run of its own."""
    own = (f"results_dir={folder}", f"reports_dir={folder}", *more)
    done = job.run(load(*files, *own))
    assert not done.failed
    return store.load(job.results_folder(load(*files, *own)), done.keys)


@pytest.mark.parametrize("head", ["head=logistic", "head=ridge", "head=ridge l2_path=[.01,1]"])
def test_cells_do_not_depend_on_the_memory(
    load: Load, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    inside = ran(load, files, tmp_path / "inside", *head.split())
    asked: list[object] = []
    given = solvers.of_heads

    def of_heads(*args: object) -> object:
        asked.append(args[-1])
        return given(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(solvers, "of_heads", of_heads)
    scaled_down(monkeypatch)
    blocks = ran(load, files, tmp_path / "blocks", "memory_limit_gb=0.07", *head.split())
    assert asked == [7 * memory_limit.limit(load(*files, "memory_limit_gb=0.07")) // 8 + 1]
    both = [table.drop(columns=["made_with"], errors="ignore") for table in (inside, blocks)]
    columns = ["cell", "method", "split", "metric", "group"]
    first, second = (table.sort_values(columns, ignore_index=True) for table in both)
    pd.testing.assert_frame_equal(first, second, check_exact=False, rtol=1e-12)


def test_methods_without_a_blocked_form_are_refused_with_those_that_have_one(
    load: Load, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled_down(monkeypatch)
    more = "methods=[teacher,w2s,selective,graph_smoothed,confidence,ceiling]"
    with pytest.raises(InputError, match=r"^memory_limit_gb=0\.07 is too small: ") as caught:
        ran(load, files, tmp_path, "memory_limit_gb=0.07", more)
    assert "heads of confidence, graph_smoothed, selective are not solved by blocks" in str(
        caught.value
    )
    found = re.search(r"or (methods=\[.*\]), which are", str(caught.value))
    assert found is not None
    ran(load, files, tmp_path / "rest", "memory_limit_gb=0.07", found[1])
    enough = re.search(r"set (memory_limit_gb=\S+) or more", str(caught.value))
    assert enough is not None
    ran(load, files, tmp_path / "all", enough[1], more)


@pytest.mark.parametrize("chunk", [1, 300, 2**22])
@pytest.mark.parametrize("width", [1, 2, 7])
def test_standardised_features_are_the_same_bytes_in_any_blocks(
    monkeypatch: pytest.MonkeyPatch, chunk: int, width: int
) -> None:
    rng = stream(1, "test/row_blocks")
    X = (rng.standard_normal((300, width)) * 5 + 3).astype(np.float32)
    rows = np.arange(0, 300, 2)
    reference = X[rows].astype(np.float64)
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    expected = ((X - mean) * (1 / std)).astype(np.float32)
    if width > 1:  # numpy adds a single column in another order
        monkeypatch.setattr(mapped, "CHUNK", chunk)
    np.testing.assert_array_equal(affine(X, rows)[0], mean)
    np.testing.assert_array_equal(affine(X, rows)[1], 1 / std)
    np.testing.assert_array_equal(standardise(X, rows), expected)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_run_keeps_its_memory_limit_to_a_tenth(tmp_path: Path) -> None:
    """In memory the heads would take 0.9 GB, and the features 0.3 GB."""
    write(tmp_path, 200_000, {"weak": 100, "strong": 256})
    found = measured(tmp_path, 3_000, 150_000, 0.2, "logistic")
    assert found["memory"] <= 1.1 * 0.2 * 2**30
    assert found["accuracy"]["ceiling"] > found["accuracy"]["baseline"] > 0.55
