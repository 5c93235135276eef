"""Whole runs on the same files in other lists: the same draws, keys and numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from squares import make_folder, places

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.data.base import ImageDataset
from w2s_groups.design.sampling import draw
from w2s_groups.experiment.prepare import prepare
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
SMALL = (
    *("data=folder", "data.name=squares", "data.class_names=[low,high]"),
    *("data.attribute_names=[green,blue]", "eta_l=0.25", "eta_u=0.5", "n_l=8", "n_u=16"),
    *("seeds=[0,1]", "methods=[teacher,w2s,selective]"),
)
MEANS = """
from torch import nn

def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def means(folder: Path, files: list[str]) -> np.ndarray[Any, Any]:
    return np.array([np.asarray(Image.open(folder / file)).mean((0, 1)) for file in files])


def listed(folder: Path, order: np.ndarray[Any, Any] | None = None) -> list[str]:
    """File names in the table's order; `order` rearranges its lines first."""
    header, *lines = (folder / "metadata.csv").read_text().splitlines()
    if order is not None:
        lines = [lines[k] for k in order]
        (folder / "metadata.csv").write_text("\n".join([header, *lines]) + "\n")
    return [line.split(",")[1] for line in lines]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "data")


def overrides(folder: Path, tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "net.py").write_text(MEANS)
    return (
        *(*SMALL, *places(folder, tmp_path / "cache", tmp_path)),
        *(f"teacher=module/{tmp_path}/net.py:means", f"student=file/{tmp_path}/x.npy"),
    )


def drawn(cfg: Config) -> tuple[set[str], set[str]]:
    """Names of the labelled and the unlabelled images of the first cell."""
    prepared = prepare(cfg)
    dataset, cell = prepared.dataset, prepared.cells[0]
    pool = prepared.pair(*cfg.pairs[0]).pool
    rows = draw(pool.groups, pool.codes[pool.drawable], pool.priors, cell.request, cell.seed)
    assert isinstance(dataset, ImageDataset)
    names = [dataset.files[row] for row in pool.drawable]
    return {names[row] for row in rows.labelled}, {names[row] for row in rows.unlabelled}


@pytest.mark.parametrize("pool", ["official", "all"])
def test_the_order_of_a_table_changes_nothing(
    load: Load, folder: Path, tmp_path: Path, pool: str
) -> None:
    own = (*overrides(folder, tmp_path), f"data.pool={pool}")
    np.save(tmp_path / "x.npy", means(folder, listed(folder)))
    first = run.run(load(*own))
    expected = drawn(load(*own))
    files = listed(folder, np.random.default_rng(0).permutation(96))
    np.save(tmp_path / "x.npy", means(folder, files))  # rows in the order of the new table
    again = run.run(load(*own, f"results_dir={tmp_path}/other"))
    assert drawn(load(*own)) == expected
    assert again.keys == first.keys
    assert again.content == first.content
    before, after = (
        {path.name: path.read_bytes() for path in tmp_path.glob(f"{name}/leaderboard/*-v*.json")}
        for name in ("results", "other")
    )
    assert len(before) == 2
    assert after == before


def test_verify_full_reads_images_whose_time_was_restored(
    load: Load, folder: Path, tmp_path: Path
) -> None:
    own = overrides(folder, tmp_path)
    files = listed(folder)
    np.save(tmp_path / "x.npy", means(folder, files))
    image = folder / files[0]
    image.write_bytes(image.read_bytes() + b"0")  # after the end of the picture
    os.utime(image, (1, 1))
    keys = [prepare(load(*own)).loaded.content]
    image.write_bytes(image.read_bytes()[:-1] + b"1")
    os.utime(image, (1, 1))
    keys += [prepare(load(*own, f"verify={how}")).loaded.content for how in ("changed", "full")]
    assert keys[0] == keys[1] != keys[2]


def test_test_images_that_are_in_the_pool_are_counted_or_refused(
    load: Load, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = overrides(folder, tmp_path)
    files = listed(folder)
    for k in (64, 70, 75):  # images of the test, as copies of images of the pool
        (folder / files[k]).write_bytes((folder / files[k - 64]).read_bytes())
    np.save(tmp_path / "x.npy", means(folder, files))
    said = "3 of 32 test images are also in the pool"
    with pytest.raises(InputError, match=rf"data\.shared=stop: {said}, such as images/"):
        run.run(load(*own, "data.shared=stop"))
    assert not list((tmp_path / "cache").rglob("*.npy"))  # before any feature is computed
    done = run.run(load(*own))
    assert done.settings["data"]["shared"] == said
    assert f"{said}, such as images/64.png (images/00.png)" in caplog.text
    report = tmp_path / "reports/leaderboard/squares/leaderboard.md"
    assert said in report.read_text()
    # Without a network nobody reads the images: the features themselves are compared.
    done = run.run(load(*own, f"teacher=file/{tmp_path}/x.npy"))
    said = "3 of 32 test images have the features of one in the pool"
    assert done.settings["data"]["shared"] == said
    for k in (64, 70, 75):
        Image.new("RGB", (32, 32), (k, 0, 0)).save(folder / files[k])
    np.save(tmp_path / "x.npy", means(folder, files))
    assert "shared" not in run.run(load(*own, "data.shared=stop")).settings["data"]
