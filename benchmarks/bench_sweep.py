"""A sweep of 1,000 jobs, what a job costs against one of Hydra's that does nothing; 100,000 cells.

data=gaussian and one cell a job: the smallest there are, so that what a job costs by itself shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from w2s_groups.reports import leaderboard
from w2s_groups.results import compaction, parquet, store

ROOT = Path(__file__).resolve().parents[1]
# The same imports, configuration and overrides, and a task that returns at once.
EMPTY = """
import hydra
from w2s_groups.cli import run
from w2s_groups.interface import hydra_config
hydra_config.register()
conf = str(hydra_config.conf_dir())
main = hydra.main(version_base="1.3", config_path=conf, config_name="config")
main(lambda composed: None)()
"""
FEW, MANY, ALL = 2, 20, 100  # seeds swept over, each with ten mixes: 20, 200 and 1,000 jobs


def seconds(out: Path, n_seeds: int, *start: str) -> float:
    """Seconds of a multirun of 10 * n_seeds jobs of one cell."""
    out.mkdir(exist_ok=True)
    begun = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, *start, "--multirun"),
            *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4"),
            *("n_l=40", "n_u=100", "methods=[teacher,w2s]", "eta_l=0.1,0.5"),
            *("eta_u=0.05,0.15,0.25,0.35,0.5", f"seeds={','.join(map(str, range(n_seeds)))}"),
        ],
        cwd=out,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - begun


@pytest.mark.slow
def test_a_thousand_cells_of_a_multirun(benchmark: Any, tmp_path: Path) -> None:
    """A job against an empty Hydra job of the same configuration, in the same minutes.

    A job whose cell is stored already does all that a job does but solve and store. Runs of two
    lengths are subtracted, so that the start of Python and the report do not count.
    """
    program = ("-m", "w2s_groups")
    sweep = tmp_path / "sweep"
    few_new = seconds(tmp_path / "few", FEW, *program)
    all_new = benchmark.pedantic(seconds, (sweep, ALL, *program), rounds=1)
    assert len(store.keys(sweep / "results/leaderboard")) == 10 * ALL
    files = sum(len(names) for _, _, names in os.walk(sweep / "results"))
    few_stored, many_stored = (seconds(sweep, n, *program) for n in (FEW, MANY))
    few_empty, many_empty = (seconds(tmp_path / "empty", n, "-c", EMPTY) for n in (FEW, MANY))
    new = (all_new - few_new) / (10 * (ALL - FEW))
    stored = (many_stored - few_stored) / (10 * (MANY - FEW))
    empty = (many_empty - few_empty) / (10 * (MANY - FEW))
    benchmark.extra_info.update(
        {
            "seconds per cell": all_new / (10 * ALL),
            "files per cell": files / (10 * ALL),
            "seconds of an empty Hydra job": empty,
            "seconds of a job whose cell is stored": stored,
            "ratio": stored / empty,
            "seconds of a job whose cell is new": new,
            "ratio of that": new / empty,
        }
    )
    assert stored <= 1.5 * empty


@pytest.mark.slow
def test_a_hundred_thousand_cells(benchmark: Any, tmp_path: Path) -> None:
    """From one Parquet file, against pandas reading the bare table; and from 100,000 files."""
    seconds(tmp_path / "one", 1, "-m", "w2s_groups")
    made = tmp_path / "one/results/leaderboard"
    one = store.read(made / f"{store.loose(made)[0]}.json")
    folder = tmp_path / "cells"
    folder.mkdir()
    keys = []
    for seed in range(100_000):
        cell = {**one.identity["cell"], "seed": seed}
        identity = {**one.identity, "cell": cell}
        key = store.cell_key(identity)
        stored = replace(one, key=key, identity=identity, fields={**one.fields, "seed": seed})
        # Not store.save, whose fsync is for a cell that took seconds to make.
        (folder / f"{key}.json").write_bytes(store.encoded(stored))
        keys.append(key)

    begun = time.perf_counter()
    from_files = store.load(folder, keys)
    of_files = time.perf_counter() - begun
    begun = time.perf_counter()
    cells, damaged = compaction.compact(folder)
    of_compact = time.perf_counter() - begun
    assert (cells, damaged) == (100_000, [])
    assert of_files < 60
    assert of_compact < 60

    found = benchmark.pedantic(store.load, (folder, keys), rounds=3)
    order = ["seed", "method", "split", "metric", "group"]
    assert_frame_equal(
        *(t.sort_values(order, ignore_index=True) for t in (found, from_files)), check_dtype=False
    )
    bare = tmp_path / "bare.parquet"
    found.to_parquet(bare, index=False)
    begun = time.perf_counter()
    pd.read_parquet(bare)
    plain = time.perf_counter() - begun
    (part,) = parquet.paths(folder)
    benchmark.extra_info.update(
        {
            "atoms": len(found),
            "MiB of Parquet": part.stat().st_size / 2**20,
            "seconds from files": of_files,
            "seconds to fold the files": of_compact,
            "ratio of files to Parquet": of_files / benchmark.stats.stats.min,
            "seconds of pandas on the bare table": plain,
        }
    )
    assert benchmark.stats.stats.min < 2


@pytest.mark.slow
def test_a_report_over_a_hundred_thousand_cells(benchmark: Any, tmp_path: Path) -> None:
    """Two data sets, 10 x 10 mixes, 500 seeds; against pandas writing the bare table.

    One cell was run; the others are copies of it with accuracies drawn at random.
    """
    seconds(tmp_path, 1, "-m", "w2s_groups")
    made = tmp_path / "results/leaderboard"
    one = store.table_of([store.read(made / f"{store.loose(made)[0]}.json")])
    (settings,) = (json.loads(path.read_text()) for path in tmp_path.rglob("settings.json"))
    etas = [round(0.05 * k, 2) for k in range(1, 11)]
    settings |= {"data": ["one", "two"], "eta_l": etas, "eta_u": etas, "seeds": list(range(500))}
    n, rng = 2 * 10 * 10 * 500, np.random.default_rng(0)
    table = pd.concat([one] * n, ignore_index=True)
    cell = np.repeat(np.arange(n), len(one))
    setup, eta_l, eta_u, seed = np.unravel_index(cell, (2, 10, 10, 500))
    table["cell"] = pd.Series([f"{k:016x}-v5" for k in range(n)]).to_numpy()[cell]
    table["data"] = np.array(settings["data"], dtype=object)[setup]
    table["eta_l"], table["eta_u"] = np.array(etas)[eta_l], np.array(etas)[eta_u]
    table["seed"] = seed
    drawn = ((table["metric"] == "accuracy") & (table["n"] > 0)).to_numpy()
    images, level = table.loc[drawn, "n"].to_numpy(), table.loc[drawn, "value"].clip(0.05, 0.95)
    table.loc[drawn, "value"] = rng.binomial(images, level) / images

    begun = time.perf_counter()
    table.to_csv(tmp_path / "bare.csv.gz", index=False)
    plain = time.perf_counter() - begun
    benchmark.pedantic(leaderboard.write, (table, settings, tmp_path / "report"), rounds=1)
    taken = benchmark.stats.stats.min
    benchmark.extra_info.update(
        {
            "atoms": len(table),
            "seconds of pandas writing the bare table": plain,
            "ratio of that to the report": plain / taken,
        }
    )
    assert taken < 30
