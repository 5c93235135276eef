"""What an extraction is estimated to take, against a real one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.module_file import IMAGENET
from w2s_groups.core.seeds import stream
from w2s_groups.features import estimate, extraction, shards

N = 2 * shards.ROWS + 100
PAGE = Path(__file__).resolve().parents[2] / "docs/scale.md"


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, int]:
    """Cache of a real extraction, its width, and the most bytes that it held while it went on."""
    from torch import nn

    folder = tmp_path_factory.mktemp("images")
    pixels = stream(0, "test/estimate").integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
    for k in range(N):
        Image.fromarray(pixels[k]).save(folder / f"{k}.ppm")
    network = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten())
    backbone = Backbone("pooled", "pooled", lambda: network, IMAGENET)
    cache = tmp_path_factory.mktemp("cache")
    files = [f"{k}.ppm" for k in range(N)]
    run = extraction.run_of(backbone, "cpu", "float32", 64, 1, False, "stop")
    items = extraction.images(folder, files, backbone, extraction.contents(folder, files, 1))
    parts = shards.cut(items, run, cache)
    shards.take(items, run, parts)
    of_shards = held(cache)
    extraction.extracted(items, run, cache, "stop")
    return cache, backbone.width, of_shards + held(cache)


def held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_disk_is_what_a_real_extraction_takes(extracted: tuple[Path, int, int]) -> None:
    cache, width, most = extracted
    assert held(cache) <= estimate.stored(N, width) <= 1.01 * held(cache) + estimate.FILE
    missing = [shards.ROWS, shards.ROWS, 100]
    assert most <= estimate.disk(N, width, missing) <= 1.01 * most + 4 * estimate.FILE
    assert estimate.disk(N, width, []) == estimate.stored(N, width)


def test_memory_of_features_does_not_grow_with_their_number() -> None:
    def of(n: int, width: int) -> int:
        return estimate.memory(n, width, shards.ROWS)

    assert of(10**7, 512) - of(10**6, 512) == of(10**7, 4096) - of(10**6, 4096)
    assert of(1, 1024) - of(1, 512) == 3 * 4 * 512 * shards.ROWS


def test_cost_does_not_depend_on_how_many_machines_share_the_work() -> None:
    assert estimate.seconds(3600, 2, machines=2) == 900
    assert estimate.cost(3600 * 100, 100, price=2.5) == 2.5
    bill = 8 * estimate.seconds(10**6, 50, machines=8) / 3600 * 0.3
    assert bill == pytest.approx(estimate.cost(10**6, 50, 0.3))


def test_the_page_holds_the_numbers_of_the_functions() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d,]+) \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \|$", text, re.M
    )
    assert len(rows) >= 4
    for row in rows:
        n, width = (int(text.replace(",", "")) for text in row[:2])
        parts = [shards.ROWS] * (n // shards.ROWS) + [n % shards.ROWS]
        stored, most, memory = (
            estimate.stored(n, width), estimate.disk(n, width, parts),
            estimate.memory(n, width, shards.ROWS),
        )  # fmt: skip
        assert row[2:] == tuple(f"{value / 1e9:.1f}" for value in (stored, most, memory))
    rates = re.findall(r"^\| ([\d,]+) images/s \| ([\d.]+) h \| ([\d.]+) h \|$", text, re.M)
    assert len(rates) >= 4
    for rate, *hours in rates:
        per_s = float(rate.replace(",", ""))
        of = [estimate.seconds(n, per_s) / 3600 for n in (1_300_000, 10_000_000)]
        assert hours == [f"{value:.1f}" for value in of]
