"""Runs on tables: what the student can gain is what its columns do not share with its teacher's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from layouts import own_table
from numpy.typing import NDArray

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST
from w2s_groups.experiment import solvers
from w2s_groups.experiment.block import draw_of
from w2s_groups.experiment.pool import standardise
from w2s_groups.experiment.prepare import Prepared, prepare
from w2s_groups.heads.problem import Problem, Squared
from w2s_groups.reports import places
from w2s_groups.schema.config import Config
from w2s_groups.theory.intrinsic import Pair, exact_risks

Load = Callable[..., Config]
SEEDS, N_L, N_U = 40, 60, 400
L2 = 1e-12  # ridge without a penalty, up to rounding
X = [f"x{k:02d}" for k in range(14)]


def table_of_noise(folder: Path) -> Path:
    """Independent Gaussian columns and labels that are coins: all risk is variance."""
    rng = np.random.default_rng(0)
    n = 6000
    frame = pd.DataFrame(rng.normal(size=(n, len(X))), columns=X)
    labels = {"y": np.arange(n) % 2, "a": np.arange(n) // 2 % 2, "split": np.arange(n) // 4 % 2 * 2}
    frame.assign(**labels).to_csv(folder / "table.csv", index=False)
    return folder


def scores(prepared: Prepared, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of teacher and W2S student on the test rows, by the run's own draws and solver."""
    cfg = prepared.cfg
    pool = prepared.pair(*cfg.pairs[0]).pool
    solve = solvers.of_heads(cfg, "cpu", lambda done, total: None)
    _, drawn = draw_of(prepared.cells[seed], pool, False)
    problem = Problem("teacher", drawn.labelled, drawn.y_labelled, Squared(), cfg.l2)
    (teacher,) = solve(pool.features, [problem])
    weak = teacher.logits(pool.features["teacher"], drawn.unlabelled)
    targets = np.hstack([1 - weak, weak])
    problem = Problem("student", drawn.unlabelled, targets, Squared(), cfg.l2)
    (student,) = solve(pool.features, [problem])
    return tuple(
        head.logits(pool.features[side], pool.test)[:, 0]
        for side, head in (("teacher", teacher), ("student", student))
    )  # type: ignore[return-value]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_of_noise(tmp_path_factory.mktemp("noise"))


def risks(load: Load, folder: Path, student: list[str]) -> NDArray[np.float64]:
    """(SEEDS, 3) variance of the teacher on x00 to x07, of the student, and of their difference.

    Without the intercept, which both have and DLLL25's model has not.
    """
    cfg = load(
        *("data=table", f"data.root={folder}", f"cache_dir={folder}/cache", "head=ridge"),
        *(f"l2={L2}", f"n_l={N_L}", f"n_u={N_U}", "eta_l=0.5", "eta_u=0.5", f"n_seeds={SEEDS}"),
        *(f"teacher=table/columns:{'+'.join(X[:8])}", f"student=table/columns:{'+'.join(student)}"),
        "methods=[teacher,w2s]",
    )
    prepared = prepare(cfg)
    found = []
    for seed in range(SEEDS):
        weak, strong = scores(prepared, seed)
        found.append([weak.var(), strong.var(), (weak - strong).var()])
    return np.array(found)


def test_no_gain_where_the_teachers_columns_lie_inside_the_students(
    load: Load, folder: Path
) -> None:
    """DLLL25 with d_sw = d_w: the student is the teacher, whatever n_u > d_s is.

    To 1e-9 of the scores' standard deviation: the heads are solved in float64.
    """
    weak, strong, apart = risks(load, folder, X).T
    assert (apart <= 1e-18 * weak).all()
    np.testing.assert_allclose(strong, weak, rtol=1e-10)


@pytest.mark.parametrize(("student", "shared"), [(X[4:10], 4), (X[8:14], 0), (X[2:12], 6)])
def test_the_gain_is_the_theorys_where_they_do_not(
    load: Load, folder: Path, student: list[str], shared: int
) -> None:
    """Exact mean of the variance for Gaussian columns, within three standard errors.

    The free intercept takes a row of each fit, and half of the labels are 1 in every draw.
    """
    weak, strong, _ = risks(load, folder, student).T
    pair = Pair(8, len(student), shared, 0.0, 0.0, 0.0, 0.0)
    sigma2 = N_L / 4 / (N_L - 1)
    theory = exact_risks(pair, N_L - 1, N_U - 1, sigma2)
    for measured, name in ((weak, "teacher"), (strong, "w2s")):
        error = measured.std(ddof=1) / np.sqrt(SEEDS)
        assert abs(measured.mean() - theory[name]) < 3 * error
    ratio = float(theory["w2s"] / theory["teacher"])
    paired = strong - ratio * weak
    assert abs(paired.mean()) < 3 * paired.std(ddof=1) / np.sqrt(SEEDS)
    gain = weak - strong
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)


SMALL = (
    *("data=table", "n_l=8", "n_u=8", "eta_l=0.25", "eta_u=0.5", "seeds=[0,1]"),
    *("teacher=table/columns:height", "student=table/onehot", "methods=[teacher,w2s,ceiling]"),
)


def overrides(root: Path) -> tuple[str, ...]:
    counts = [[20, 20, 20, 20], [0, 0, 0, 0], [10, 10, 10, 10]]
    own_table(root, counts)
    return (
        *(*SMALL, f"data.root={root}", f"cache_dir={root}/cache"),
        *(f"results_dir={root}/results", f"reports_dir={root}/reports"),
    )


def test_a_report_shows_no_folder_of_a_table(load: Load, tmp_path: Path) -> None:
    """And a report that an older version wrote with the whole path is of the same question."""
    table = tmp_path / "table.csv"
    run.run(load(*overrides(tmp_path), f"data.table={table}"))
    (path,) = (tmp_path / "reports").rglob("settings.json")
    found = json.loads(path.read_text())
    assert found["data"]["table"] == "table.csv"
    assert str(tmp_path) not in path.read_text()
    older = {**found, "data": {**found["data"], "table": str(table)}}
    assert places.question(older) == places.question(found)


def test_a_whole_run_shows_its_rows(load: Load, tmp_path: Path) -> None:
    done = run.run(load(*overrides(tmp_path)))
    assert not done.failed
    (shown,) = (tmp_path / "reports").rglob("samples.txt")
    text = shown.read_text(encoding="utf-8")
    assert "table: 120 rows" in text
    assert "height=" in text
    assert "colour=red" in text
    again = run.run(load(*overrides(tmp_path)))
    assert again.keys == done.keys


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("finetune=full", "finetune=full needs images, and data=table has rows; choose a "),
        ("teacher=packaged/squeezenet1_1", "packaged/squeezenet1_1 reads images or texts and"),
        ("student=table/onehot:colr", "column='colr' is unknown"),
        (
            "data.shared=stop teacher=table/columns:code data.columns=[code]",
            r"data\.shared=stop: 40 of 40 test rows have the values of one in the pool",
        ),
    ],
)
def test_what_is_refused(load: Load, tmp_path: Path, changes: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(load(*overrides(tmp_path), *changes.split()))


@pytest.mark.parametrize("name", ["table/random_features@32", "table/onehot"])
def test_no_test_row_of_a_split_enters_the_features_of_its_pool(
    load: Load, tmp_path: Path, name: str
) -> None:
    """Of several splits, each has features of its own where they are learnt from the pool."""
    own = (*overrides(tmp_path), "splits=random", "splits.splits=2", f"student={name}")
    own = (*own, "data.missing=mark")
    table = tmp_path / "table.csv"
    frame = pd.read_csv(table)
    frame["code"] = frame["code"].astype(object).where(frame.index % 7 > 0, "?")
    frame.to_csv(table, index=False)
    prepared = prepare(load(*own))
    part = next(cell.part for cell in prepared.cells if cell.part.fold == 1)
    networks = prepared.cfg.pairs[0]
    before = prepared.pair(*networks, part=part).pool
    _, inside = prepared.division.rows(part)
    lines = [int(f.split()[1]) - 2 for f, on in zip(prepared.dataset.files, inside, strict=True)
             if on]  # fmt: skip
    tested = [lines[row] for row in before.test]
    unseen = frame.copy()
    unseen.loc[tested, "height"] += 1000 + np.arange(len(tested))
    unseen.to_csv(table, index=False)
    other = prepare(load(*own))
    # The rows are in another order, and their split is drawn by what they are: the same rows again.
    again = dict(zip(other.dataset.files, range(len(other.dataset.y)), strict=True))
    order = np.array([again[file] for file in prepared.dataset.files])
    dataset, usable = prepared.division.rows(part)
    changed = other.dataset.at(order)
    for side, network in zip(("teacher", "student"), networks, strict=True):
        given = prepared.loaded.on(side, network, dataset, usable)
        expected = standardise(given[usable], before.drawable)
        np.testing.assert_array_equal(before.features[side], expected)
        split = replace(changed, split=dataset.split)
        found = other.loaded.on(side, network, split, usable)
        if network not in prepared.loaded.learnt:
            found = found[order]
        pool = usable & (dataset.split != TEST)
        np.testing.assert_array_equal(found[pool], given[pool])
