"""Metadata of sets of Waterbirds' and CelebA's size, against wilds' own classes."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from omegaconf import OmegaConf

from w2s_groups.data import DATASETS, celeba, waterbirds
from w2s_groups.data.base import ImageDataset
from w2s_groups.data.wilds import import_wilds
from w2s_groups.design.groups import Groups

CONF = Path(__file__).resolve().parents[1] / "conf" / "data"


def _config(name: str, root: Path) -> Any:
    numbers = OmegaConf.load(CONF / f"{name}.yaml")
    del numbers["defaults"]
    return OmegaConf.to_object(OmegaConf.merge(DATASETS[name], numbers, {"root": str(root)}))


def _rows(counts: dict[str, tuple[int, ...]]) -> np.ndarray:
    """(N, 3) split, y, a of a release, in random order."""
    cells = [
        np.tile([split, *divmod(group, 2)], (n, 1))
        for split, groups in enumerate(counts.values())
        for group, n in enumerate(groups)
    ]
    return np.random.default_rng(0).permutation(np.concatenate(cells))


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's 11,788 images, of one byte each, in 200 folders."""
    folder = tmp_path_factory.mktemp("waterbirds") / "waterbirds_v1.0"
    folder.mkdir()
    (folder / "RELEASE_v1.0.txt").touch()
    for k in range(200):
        (folder / f"{k:03d}.Species").mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("img_id", "img_filename", "y", "split", "place", "place_filename"))
        for i, (split, y, a) in enumerate(_rows(waterbirds.COUNTS).tolist()):
            name = f"{i % 200:03d}.Species/Species_{i:05d}.jpg"
            (folder / name).write_bytes(b"x")
            out.writerow((i + 1, name, y, split, a, f"/o/ocean/{i:08d}.jpg"))
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's 202,599 images, of one byte each, in one folder, with all 40 attributes."""
    folder = tmp_path_factory.mktemp("celeba") / "celebA_v1.0"
    (folder / "img_align_celeba").mkdir(parents=True)
    (folder / "RELEASE_v1.0.txt").touch()
    rows = _rows(celeba.COUNTS)
    signs = np.random.default_rng(1).choice([-1, 1], (len(rows), 40))
    names = [f"Attribute_{k}" for k in range(40)]
    for column, name in ((1, "Blond_Hair"), (2, "Male")):
        names[10 * column] = name
        signs[:, 10 * column] = 2 * rows[:, column] - 1
    with (
        (folder / "list_attr_celeba.csv").open("w", newline="") as attributes,
        (folder / "list_eval_partition.csv").open("w", newline="") as partition,
    ):
        attributes.write(",".join(["image_id", *names]) + "\n")
        partition.write("image_id,partition\n")
        for i, (split, own) in enumerate(zip(rows[:, 0].tolist(), signs.tolist(), strict=True)):
            name = f"{i + 1:06d}.jpg"
            (folder / "img_align_celeba" / name).write_bytes(b"x")
            attributes.write(f"{name},{','.join(map(str, own))}\n")
            partition.write(f"{name},{split}\n")
    return folder


def _against_wilds(
    benchmark: Any, name: str, dataset: str, root: Path, most_seconds: float
) -> None:
    own, get_dataset = _config(name, root), import_wilds()
    loaded: ImageDataset = benchmark.pedantic(own.load, (root,), rounds=3, warmup_rounds=1)
    codes = loaded.codes
    times = []
    for _ in range(3):
        start = time.perf_counter()
        theirs = get_dataset(dataset, root_dir=str(root.parent), download=False)
        groups = theirs._eval_grouper.metadata_to_group(theirs.metadata_array)
        times.append(time.perf_counter() - start)
    assert_array_equal(groups, codes)
    assert_array_equal(theirs.split_array, loaded.split)
    ours = benchmark.stats.stats.min
    benchmark.extra_info |= {
        "images": len(codes),
        "wilds_s": round(min(times), 2),
        "wilds_over_ours": round(min(times) / ours, 2),
        "checked_by_us_alone": "paths, duplicates, files on disk, coding, counts, join by name",
    }
    assert ours < most_seconds


@pytest.mark.quick
def test_waterbirds_against_wilds(benchmark: Any, birds: Path) -> None:
    _against_wilds(benchmark, "waterbirds", "waterbirds", birds, 1.0)


def test_celeba_against_wilds(benchmark: Any, faces: Path) -> None:
    _against_wilds(benchmark, "celeba", "celebA", faces, 5.0)


@pytest.mark.quick
def test_group_codes_against_a_loop(benchmark: Any) -> None:
    """Group codes of 202,599 images against one look-up an image."""
    _, y, a = _rows(celeba.COUNTS).T
    groups = Groups(("not blond", "blond"), ("female", "male"))
    codes = benchmark(groups.codes, y, a)

    def loop(pairs: Callable[[], Any]) -> list[int]:
        table = {(i, j): 2 * i + j for i in range(2) for j in range(2)}
        return [table[i, j] for i, j in pairs()]

    start = time.perf_counter()
    slow = loop(lambda: zip(y.tolist(), a.tolist(), strict=True))
    seconds = time.perf_counter() - start
    assert_array_equal(slow, codes)
    ratio = seconds / benchmark.stats.stats.min
    benchmark.extra_info["ratio"] = round(ratio, 1)
    assert ratio > 3
