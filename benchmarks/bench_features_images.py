"""The image pipeline (decode, resize, crop, normalise) against Pillow and NumPy by hand.

The alternative is the least that anyone writes: two threads, each taking photograph after
photograph through Pillow and turning it into normalised floats. Ours does the same on two workers
and hashes every file, checks it, batches it and stores the result; the network is a mere average.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.module_file import IMAGENET
from w2s_groups.features import extraction

N, WORKERS, BATCH = 400, 2, 16
SHAPE = (500, 375)  # width and height of the photographs that Waterbirds was made of
FILES = [f"{i}.jpg" for i in range(N)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth random pictures: about as costly to decode as photographs of this size."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for file in FILES:
        coarse = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(SHAPE, Image.Resampling.BICUBIC).save(folder / file)
    return folder


def by_hand(path: Path) -> np.ndarray:
    """(224, 224, 3) float32 as ImageNet networks take it."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    width, height = rgb.size
    scale = 256 / min(width, height)
    rgb = rgb.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (rgb.width - 224) // 2, (rgb.height - 224) // 2
    pixels = np.asarray(rgb.crop((left, top, left + 224, top + 224)), dtype=np.float32)
    mean, std = (np.array(v, dtype=np.float32) for v in (IMAGENET.mean, IMAGENET.std))
    return np.asarray((pixels - mean) / std)


def pillow_alone(root: Path) -> float:
    """Seconds for all photographs."""

    def one(file: str) -> float:
        return float(by_hand(root / file)[0, 0, 0])

    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, FILES))
    return time.perf_counter() - start


def test_image_pipeline_against_pillow_alone(benchmark: Any, root: Path, tmp_path: Path) -> None:
    average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone = Backbone("average", "average", lambda: average, IMAGENET)
    backbone.network  # noqa: B018  # loaded before the clock runs
    caches = iter(range(100))

    def whole() -> None:
        cache = tmp_path / str(next(caches))
        extraction.extract(root, FILES, backbone, cache, batch_size=BATCH, workers=WORKERS)

    pillow_alone(root)
    before = min(pillow_alone(root) for _ in range(3))
    benchmark.pedantic(whole, rounds=5, warmup_rounds=1)
    after = min(pillow_alone(root) for _ in range(3))
    ours, pillow = N / benchmark.stats.stats.min, N / min(before, after)
    benchmark.extra_info.update(
        {"images per s": ours, "Pillow by itself, images per s": pillow, "ratio": ours / pillow}
    )
    assert ours / pillow >= 0.9
