"""Feature extraction against the network's own bare forward rate, on 192-pixel JPEGs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from w2s_groups.backbones import Backbone, get_backbone
from w2s_groups.features import extraction

N, SIZE, BATCH, CORES = 640, 192, 8, 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth random pictures: about as costly to decode as photographs of this size."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for i in range(N):
        coarse = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        image.save(folder / f"{i}.jpg", quality=95)
    return folder


def bare(backbone: Backbone) -> tuple[float, float]:
    """Images per second of the bare network on a batch in memory, run in two ways.

    As torch runs it by itself, all threads on one batch after another; and a batch at a time on
    each core, which is how the extraction runs it and an upper bound that leaves no decoding.
    """
    batch = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8)
    rounds = N // BATCH
    network, threads = backbone.network, torch.get_num_threads()

    def forward(_: int) -> None:
        with torch.inference_mode():
            network(batch)

    start = time.perf_counter()
    for k in range(rounds):
        forward(k)
    together = N / (time.perf_counter() - start)
    with ThreadPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        start = time.perf_counter()
        list(pool.map(forward, range(rounds)))
        apart = N / (time.perf_counter() - start)
    torch.set_num_threads(threads)
    return together, apart


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_lite2"])
def test_extraction_against_bare_forward(
    benchmark: Any, root: Path, tmp_path: Path, name: str
) -> None:
    backbone = get_backbone(f"packaged/{name}", SIZE)
    files = [f"{i}.jpg" for i in range(N)]
    caches = iter(range(100))

    def whole() -> None:
        cache = tmp_path / str(next(caches))
        extraction.extract(root, files, backbone, cache, batch_size=BATCH, workers=CORES)

    bare(backbone)
    before = bare(backbone)
    benchmark.pedantic(whole, rounds=3, warmup_rounds=1)
    after = bare(backbone)
    together, apart = (max(pair) for pair in zip(before, after, strict=True))
    ours = N / benchmark.stats.stats.min
    benchmark.extra_info.update(
        {
            "images per s": ours,
            "bare forward images per s, all threads on a batch": together,
            "ratio": ours / together,
            "bare forward images per s, a batch on each core": apart,
            "ratio to that": ours / apart,
        }
    )
    assert ours / together >= 0.9
