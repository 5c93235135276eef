"""Random splits of data on disk that have no split of their own, or one that is not wanted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts import write_rows
from PIL import Image
from tiny_nets import MEANS_AND_QUARTERS

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, Listed
from w2s_groups.experiment import job
from w2s_groups.experiment.division import by_part
from w2s_groups.experiment.prepare import prepare
from w2s_groups.reports import leaderboard
from w2s_groups.results import store
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
SPLITS = 3


def images(root: Path) -> list[str]:
    """A folder in the Waterbirds format: ten birds a class, each on land and on water.

    Its own split has every bird on both sides.
    """
    rng = np.random.default_rng(0)
    table: list[list[object]] = [["img_filename", "y", "place", "split", "bird"]]
    for y, bird, a, k in itertools.product(range(2), range(10), range(2), range(4)):
        pixels = rng.integers(0, 200, (12, 12, 3), dtype=np.uint8)
        pixels[..., 0] += np.uint8(40 * y)
        pixels[6:, :, 2] += np.uint8(40 * a)
        file = f"{y}/{bird}_{a}_{k}.png"
        (root / "set" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / "set" / file)
        table.append([file, y, a, (0, 0, 1, 2)[k], f"bird {y}.{bird}"])
    write_rows(root / "set" / "metadata.csv", table)
    (root / "net.py").write_text(MEANS_AND_QUARTERS)
    return [
        "data=folder", "data.class_names=[landbird,waterbird]", "data.attribute_names=[land,water]",
        "data.identity_column=bird", "image_size=32", f"teacher=module/{root}/net.py:means",
        f"student=module/{root}/net.py:quarters",
    ]  # fmt: skip


def rows(root: Path) -> list[str]:
    """A table without a split: ten people a class, each with loans of both kinds."""
    rng = np.random.default_rng(0)
    table: list[list[object]] = [["income", "term", "paid", "region", "person"]]
    for y, person, a, _ in itertools.product(range(2), range(10), range(2), range(4)):
        income, term = rng.normal(y, 1.0), rng.normal(a + y, 1.0)
        table.append([f"{income:.3f}", f"{term:.3f}", y, a, f"person {y}.{person}"])
    write_rows(root / "set" / "table.csv", table)
    return [
        "data=table", "data.y_column=paid", "data.a_column=region", "data.split_column=null",
        "data.identity_column=person", "teacher=table/columns:income", "student=table/columns",
    ]  # fmt: skip


def configured(load: Load, root: Path, given: list[str], *more: str) -> Config:
    return load(
        *given, f"data.root={root / 'set'}", "methods=[teacher,w2s,ceiling]", "n_l=8", "n_u=12",
        "eta_l=0.5", "eta_u=[0.25,0.5]", f"n_seeds={SPLITS}", f"cache_dir={root / 'cache'}",
        f"results_dir={root / 'results'}", f"reports_dir={root / 'reports'}", *more,
    )  # fmt: skip


RANDOM = ("splits=random", f"splits.splits={SPLITS}", "splits.test_fraction=0.3")


@pytest.mark.parametrize(("make", "noun"), [(images, "image"), (rows, "row")])
def test_data_without_a_test_set_run_over_random_splits(
    load: Load, tmp_path: Path, make: Callable[[Path], list[str]], noun: str
) -> None:
    cfg = configured(load, tmp_path, make(tmp_path), "data.pool=unsplit", *RANDOM)
    prepared = prepare(cfg)
    assert isinstance(prepared.dataset, Listed)
    assert prepared.dataset.identity is not None
    names = np.array(prepared.dataset.identity)
    assert len(names) == 160
    tested = []
    for part, _ in by_part(prepared.cells):
        dataset, inside = prepared.division.rows(part)
        assert inside.all()  # no place is known, so every row is on a side
        pool, test = names[dataset.split == TRAIN], names[dataset.split == TEST]
        assert not set(pool) & set(test)
        assert len(set(test)) == 6  # 0.3 of the ten of each class
        tested.append(frozenset(test))
    assert len(set(tested)) == SPLITS

    done = job.run(cfg)
    source = job.results_folder(cfg)
    table = store.load(source, done.keys)
    assert set(table["fold"]) == set(range(SPLITS))
    assert table["value"].notna().all()
    counted = {name for _, counts in store.tested(source, done.keys) for name in counts.identity}
    assert counted == set().union(*tested)
    # Intervals over random splits need no counts, so a report has none.
    assert leaderboard.counts_of(source, done.keys, table, done.settings) is None
    folder = tmp_path / "page"
    leaderboard.write(table, done.settings, folder)
    text = (folder / "leaderboard.md").read_text(encoding="utf-8")
    assert f"They hold for new pools, draws and test {noun}s." in text
    assert f"Intervals are over {SPLITS} splits into pool and test" in text


def test_the_other_pools_are_refused(load: Load, tmp_path: Path) -> None:
    """An official split that shares birds; unsplit data without several splits."""
    given = images(tmp_path)
    with pytest.raises(InputError, match="20 of 20 names of the test are in the pool"):
        job.run(configured(load, tmp_path, given, *RANDOM))
    with pytest.raises(InputError, match="has no test images"):
        job.run(configured(load, tmp_path, given, "data.pool=unsplit"))


def test_a_table_without_a_split_needs_a_pool_that_has_none(load: Load, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leaves no official split"):
        job.run(configured(load, tmp_path, rows(tmp_path), *RANDOM))
