"""A run over several splits, with the real compositor, solver, store and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import pictures
from scipy.stats import sem
from tiny_nets import MEANS_AND_QUARTERS

from w2s_groups.core.errors import InputError
from w2s_groups.design import splits
from w2s_groups.experiment import job
from w2s_groups.experiment.division import by_part
from w2s_groups.experiment.prepare import prepare
from w2s_groups.prediction.table import measurements
from w2s_groups.reports import leaderboard, rebuild
from w2s_groups.results import committed, compaction, quantity, store, tested
from w2s_groups.results.grid import Grid
from w2s_groups.results.stats import mean_interval
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
METHODS = "methods=[teacher,w2s,selective,ceiling]"


def configured(load: Load, root: Path, *more: str) -> Config:
    (root / "net.py").write_text(MEANS_AND_QUARTERS)
    folders = pictures(root / "pictures")
    sources = [
        f"+data.{kind}={{{','.join(f'{name}: {folder}' for name, folder in of.items())}}}"
        for kind, of in folders.items()
    ]
    return load(
        "data=composite", "data.name=pets", *sources, "data.n_pool=480", "data.n_test=0",
        "data.size=24", "image_size=32", "n_l=12", "n_u=24", "eta_l=[0.25,0.5]",
        "eta_u=[0.25,0.5]", METHODS, f"teacher=module/{root}/net.py:means",
        f"student=module/{root}/net.py:quarters", f"cache_dir={root / 'cache'}",
        f"results_dir={root / 'results'}", f"reports_dir={root / 'reports'}", *more,
    )  # fmt: skip


CROSSED = ("splits=crossed", "splits.identity_folds=2", "splits.place_folds=2", "n_seeds=4")


@pytest.fixture(scope="module")
def crossed(load: Load, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, job.Job]:
    cfg = configured(load, tmp_path_factory.mktemp("crossed"), *CROSSED)
    return cfg, job.run(cfg)


@pytest.fixture(scope="module")
def grid(crossed: tuple[Config, job.Job]) -> Grid:
    cfg, done = crossed
    folder = job.results_folder(cfg)
    table = store.load(folder, done.keys)
    counts = leaderboard.counts_of(folder, done.keys, table, done.settings)
    [grid] = leaderboard.grids_of(table, done.settings, counts)
    return grid


def test_the_counts_are_those_of_the_accuracies(
    grid: Grid, crossed: tuple[Config, job.Job]
) -> None:
    cfg, done = crossed
    folder = job.results_folder(cfg)
    table = store.load(folder, done.keys)
    counts = leaderboard.counts_of(folder, done.keys, table, done.settings)
    assert counts is not None
    by_run = counts.groupby(["eta_l", "eta_u", "seed", "group"])
    for method in grid.methods:
        share = by_run[tested.RIGHT + method].sum() / by_run["n"].sum()
        own = table[
            (table["method"] == method) & (table["split"] == "test") & (table["audit"] == "")
        ]
        own = own[own["metric"] == "accuracy"].set_index(["eta_l", "eta_u", "seed", "group"])
        np.testing.assert_allclose(share.reindex(own.index), own["value"], atol=1e-12)


def test_every_image_is_tested_once_and_by_heads_that_saw_neither_side(
    crossed: tuple[Config, job.Job],
) -> None:
    cfg, _ = crossed
    prepared = prepare(cfg)
    division = prepared.division
    assert division.origin is not None
    times = np.zeros(len(prepared.dataset.y))
    for part, _ in by_part(prepared.cells):
        dataset, inside = division.rows(part)
        test = (dataset.split == 2) & inside
        pool = inside & ~test
        for codes in (division.origin.identity, division.origin.place):
            assert not np.intersect1d(codes[pool], codes[test]).size
        if not part.audit:
            times += test
    np.testing.assert_array_equal(times, 1)


def test_halves_are_those_of_their_own_fold(crossed: tuple[Config, job.Job]) -> None:
    cfg, _ = crossed
    prepared = prepare(cfg)
    division = prepared.division
    assert division.origin is not None
    parts = [part for part, _ in by_part(prepared.cells) if part.half is not None]
    assert {part.fold for part in parts} - {0}
    for part in parts:
        assert part.half is not None
        which, number = part.half
        fold = division.folds[part.fold]
        args = (division.origin, which, fold.pool, division.split_seed, part.fold)
        _, inside = division.rows(part)
        np.testing.assert_array_equal(inside & ~fold.test, splits.halves(*args)[number])


def test_audits_stay_out_of_means(grid: Grid, crossed: tuple[Config, job.Job]) -> None:
    assert grid.folds == (0, 1, 2, 3)
    assert grid.crossed is not None
    assert set(grid.crossed.audits) == {"identities"}
    heads = grid.crossed.audits["identities"]
    assert np.isfinite(heads).all()
    # the first head of an audit is the grid's own
    last = grid.points.index((0.5, 0.5))
    np.testing.assert_array_equal(heads[:, :, 0], grid.accuracy[last])


def test_intervals_have_every_part_and_hold_the_mean(grid: Grid) -> None:
    whole = quantity.accuracies(grid, "average")
    assert np.isfinite(whole.low).all()
    assert (whole.low <= whole.mean).all()
    assert (whole.mean <= whole.high).all()
    # pooled over images and not over blocks: nearly the same, since blocks are nearly as large
    by_block = mean_interval(grid.metric("average")).mean
    np.testing.assert_allclose(whole.mean, by_block, atol=0.05)


def test_measured_means_have_the_standard_error_of_their_draws(grid: Grid) -> None:
    for row in measurements(grid).itertuples():
        draws = row.draws[np.isfinite(row.draws)]
        assert len(draws) > 1
        assert row.error == pytest.approx(sem(draws), abs=1e-12)


def test_the_report_is_rebuilt_from_its_tables_alone(
    crossed: tuple[Config, job.Job], tmp_path: Path
) -> None:
    cfg, done = crossed
    source = job.results_folder(cfg)
    table = store.load(source, done.keys)
    counts = leaderboard.counts_of(source, done.keys, table, done.settings)
    folder = tmp_path / "reports" / "pets"
    leaderboard.write(table, done.settings, folder, counts)
    assert rebuild.differences(tmp_path) == []
    text = (folder / "leaderboard.md").read_text()
    assert "new identities, places, pools and draws" in text
    assert "identities, " in text
    assert (folder / committed.COUNTS).is_file()
    (folder / committed.COUNTS).unlink()
    assert any("leaderboard.md" in line for line in rebuild.differences(tmp_path))


def test_compaction_keeps_the_counts(crossed: tuple[Config, job.Job], tmp_path: Path) -> None:
    cfg, done = crossed
    source = job.results_folder(cfg)
    before = {str(fields): counts.as_json() for fields, counts in store.tested(source, done.keys)}
    for key in done.keys:
        (tmp_path / f"{key}.json").write_bytes((source / f"{key}.json").read_bytes())
    compaction.compact(tmp_path)
    assert not store.loose(tmp_path)
    after = {str(fields): counts.as_json() for fields, counts in store.tested(tmp_path, done.keys)}
    assert len(before) == 4 * 4
    assert sorted(after.values(), key=str) == sorted(before.values(), key=str)
    assert compaction.verify(tmp_path).faults == []


def test_a_run_again_makes_nothing_new(crossed: tuple[Config, job.Job]) -> None:
    cfg, done = crossed
    folder = job.results_folder(cfg)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert job.run(cfg).keys == done.keys
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")} == before


def test_random_splits_have_corrected_intervals(load: Load, tmp_path: Path) -> None:
    more = ("splits=random", "splits.splits=3", "splits.test_fraction=0.25", "n_seeds=3")
    cfg = configured(load, tmp_path, *more, "n_l=8", "n_u=12")
    done = job.run(cfg)
    table = store.load(job.results_folder(cfg), done.keys)
    [grid] = leaderboard.grids_of(table, done.settings)
    assert grid.crossed is None
    assert grid.test_share == 0.25
    plain = mean_interval(grid.metric("average"))
    wide = quantity.metric(grid, "average").difference()
    np.testing.assert_allclose(wide.high - wide.mean, (plain.high - plain.mean) * np.sqrt(2.0))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("splits=crossed", "n_seeds=4"), "cannot be shared equally"),
        (("splits=crossed", "n_seeds=9", "splits.audit=[people]"), "splits.audit"),
        (("splits=given", "n_seeds=2"), "has no test images"),
        (("splits=random", "n_seeds=10", "splits.test_fraction=0"), "splits.test_fraction"),
        ((*CROSSED, "n_l=30", "n_u=50", "eta_l=0.5", "eta_u=0.5"), "take them from splits.audit"),
        (("splits=crossed", "n_seeds=100", "splits.identity_folds=10", "splits.place_folds=10"),
         "lower splits.identity_folds"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be_made_are_refused(
    load: Load, tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError) as error:
        job.run(configured(load, tmp_path, *more))
    assert words in str(error.value)


def test_data_without_identities_have_no_crossed_folds(load: Load, tmp_path: Path) -> None:
    cfg = load("data=gaussian", "splits=crossed", "n_seeds=9", f"results_dir={tmp_path}",
               f"reports_dir={tmp_path}", f"cache_dir={tmp_path}")  # fmt: skip
    with pytest.raises(InputError, match="names no identities"):
        job.run(cfg)


def test_counts_of_another_shape_are_refused() -> None:
    counts = tested.Counts(("a",), ("b",), ("g",), np.array([3]), {"w2s": np.array([2])})
    content = counts.as_json()
    assert tested.Counts.of_json(content).as_json() == content
    with pytest.raises(ValueError, match="different lengths"):
        tested.Counts.of_json({**content, "n": [3, 4]})


def test_the_seeds_of_a_split_are_its_own(load: Load, tmp_path: Path) -> None:
    cfg = configured(load, tmp_path, *CROSSED)
    several = cfg.several
    assert several is not None
    assert several.runs([0, 1, 2, 3, 4, 5, 6, 7]) == [
        (fold, seed) for fold in range(4) for seed in (fold, fold + 4)
    ]
    assert len(replace(several, every_seed=True).runs([0, 1])) == 8
