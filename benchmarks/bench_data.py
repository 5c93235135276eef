"""Composing images: this package against a plain loop over the full-size photographs."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from w2s_groups.data.compositing.dataset import Settings, compose

N = 400


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[Path]]]:
    """Sources of the usual sizes: 2560 x 1600 JPEG photographs, 200-pixel cut-outs."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    sources: dict[str, dict[str, list[Path]]] = {}
    for name in ("land", "water"):
        for i in range(6):
            coarse = rng.integers(0, 256, (40, 64, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((2560, 1600), Image.Resampling.BICUBIC)
            image.save(root / f"{name}{i}.jpg", quality=90)
            sources.setdefault(name, {})[f"{name}{i}"] = [root / f"{name}{i}.jpg"]
    rows, columns = np.ogrid[:150, :200]
    for name in ("mammal", "bird"):
        for i in range(20):
            pixels = rng.integers(0, 256, (150, 200, 4), dtype=np.uint8)
            inside = ((rows - 75) / 70) ** 2 + ((columns - 100) / 95) ** 2 < 1
            pixels[..., 3] = np.where(inside, 255, 0)
            Image.fromarray(pixels).save(root / f"{name}{i}.png")
            sources.setdefault(name, {})[f"{name}{i}"] = [root / f"{name}{i}.png"]
    return sources


class _Sources(Settings):
    """`compose` is given its sources: there is nothing to load."""

    def load(self, cache_dir: Path, progress: Any) -> NoReturn:
        raise NotImplementedError


def _settings(seed: int) -> Settings:
    return _Sources(
        name="bench",
        n_pool=N - N // 5,
        n_test=N // 5,
        size=192,
        split_seed=seed,
        test_fraction=0.33,
        crop=[0.6, 1.0],
        scale=[0.55, 0.85],
        quality=95,
    )


def _plain_loop(sources: dict[str, dict[str, list[Path]]], out: Path, n: int) -> None:
    """What one would write: open both files for each image, crop, resize, paste, save."""
    rng, size = random.Random(0), 192
    for number in range(n):
        place = rng.choice(list(sources[rng.choice(("land", "water"))].values()))[0]
        animal = rng.choice(list(sources[rng.choice(("mammal", "bird"))].values()))[0]
        background = Image.open(place).convert("RGB")
        side = int(rng.uniform(0.6, 1.0) * min(background.size))
        left = rng.randrange(background.width - side + 1)
        top = rng.randrange(background.height - side + 1)
        frame = background.crop((left, top, left + side, top + side))
        frame = frame.resize((size, size), Image.Resampling.LANCZOS)
        cutout = Image.open(animal).convert("RGBA")
        factor = rng.uniform(0.55, 0.85) * size / max(cutout.size)
        width, height = (round(factor * length) for length in cutout.size)
        cutout = cutout.resize((width, height), Image.Resampling.LANCZOS)
        x, y = rng.randrange(size - width + 1), rng.randrange(size - height + 1)
        frame.paste(cutout, (x, y), cutout)
        frame.save(out / f"{number}.jpg", quality=95)


def test_compose_against_plain_loop(benchmark, pictures, tmp_path: Path) -> None:
    cutouts = {name: pictures[name] for name in ("mammal", "bird")}
    backgrounds = {name: pictures[name] for name in ("land", "water")}
    seeds = iter(range(1000))

    def composed() -> None:
        compose(cutouts, backgrounds, _settings(next(seeds)), tmp_path)

    benchmark.pedantic(composed, rounds=3, warmup_rounds=1)
    n_plain = N // 8
    start = time.perf_counter()
    _plain_loop(pictures, tmp_path, n_plain)
    plain = (time.perf_counter() - start) / n_plain
    ours = benchmark.stats.stats.min / N
    benchmark.extra_info |= {
        "images_per_s": round(1 / ours),
        "plain_images_per_s": round(1 / plain),
        "ratio": round(plain / ours, 1),
    }
    assert plain / ours > 5


@pytest.mark.quick
def test_second_call(benchmark, pictures, tmp_path: Path) -> None:
    """Finding a built dataset again, its inputs hashed and its files' sizes checked."""
    cutouts = {name: pictures[name] for name in ("mammal", "bird")}
    backgrounds = {name: pictures[name] for name in ("land", "water")}
    start = time.perf_counter()
    compose(cutouts, backgrounds, _settings(0), tmp_path)
    first = time.perf_counter() - start
    benchmark(compose, cutouts, backgrounds, _settings(0), tmp_path)
    benchmark.extra_info["ratio"] = round(first / benchmark.stats.stats.median, 1)
