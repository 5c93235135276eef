"""100,000 small images through `w2s-groups features`: disk, memory, and going on after a kill."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2s_groups.features import estimate, shards

ROOT = Path(__file__).resolve().parents[1]
N, FEW, SIZE, WIDTH = 100_000, 20_000, 32, 512
pytestmark = pytest.mark.slow


def folder(root: Path, n: int) -> Path:
    """Random pictures as PPM files, which take no time to write, in the format of data=folder."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["img_id,img_filename,y,split,place,place_filename"]
    for k in range(n):
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        (root / f"images/{k}.ppm").write_bytes(b"P6 %d %d 255\n" % (SIZE, SIZE) + pixels.tobytes())
        rows.append(f"{k + 1},images/{k}.ppm,{k % 2},{2 * (k % 5 == 4)},{k // 2 % 2},/x")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def started(data: Path, cache: Path, *more: str) -> subprocess.Popen[bytes]:
    words = (
        *("features", "data=folder", f"data.root={data}", "data.class_names=[a,b]"),
        *("data.attribute_names=[c,d]", "backbone=packaged/squeezenet1_1", f"image_size={SIZE}"),
        *("batch_size=64", "workers=2", f"cache_dir={cache}", *more),
    )
    return subprocess.Popen(
        [sys.executable, "-m", "w2s_groups", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=cache.parent,
        stdout=(cache.parent / "said").open("a"), stderr=subprocess.DEVNULL,
    )  # fmt: skip


def ended(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    """Exit status, and what the process used."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used


def number(text: str) -> int:
    return int(text.replace(",", ""))


def held(cache: Path) -> int:
    return sum(path.stat().st_size for path in (cache / "features").rglob("*.*"))


def test_a_hundred_thousand_images(benchmark: Any, tmp_path: Path) -> None:
    """A kill loses no shard; disk is as estimated; memory grows with names, never with features."""
    few, many = folder(tmp_path / "few", FEW), folder(tmp_path / "many", N)
    status, of_few = ended(started(few, tmp_path / "cache_few"))
    assert status == 0
    cache = tmp_path / "cache"
    killed = started(many, cache)
    while len(list(cache.glob("features/*/shards/*.json"))) < 10:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    sidecars = [json.loads(p.read_text()) for p in cache.glob("features/*/shards/*.json")]
    kept = sum(len(sidecar["sidecar"]["images"]) for sidecar in sidecars)
    assert 9 * shards.ROWS < kept < N

    begun = time.perf_counter()
    parts = benchmark.pedantic(
        lambda: [ended(started(many, cache, f"part={k}/2")) for k in (1, 2)], rounds=1
    )
    seconds = time.perf_counter() - begun
    assert [status for status, _ in parts] == [0, 0]
    left = N - kept
    said = (tmp_path / "said").read_text().replace("\n  ", " ")
    assert sum(map(number, re.findall(r"([\d,]+) images in", said))) == FEW + left
    used = [use for _, use in parts]
    cpu = sum(use.ru_utime + use.ru_stime for use in used)
    peak, peak_few = max(use.ru_maxrss for use in used) * 1024, of_few.ru_maxrss * 1024
    growth = (peak - peak_few) / (N - FEW)
    benchmark.extra_info.update(
        {
            "images after the kill": left,
            "images per s": left / seconds,
            "images per CPU second": left / cpu,
            "MB on disk": held(cache) / 1e6,
            "MB of memory": peak / 1e6,
            "MB of memory, 20,000 images": peak_few / 1e6,
            "bytes of memory an image more takes": growth,
            "bytes of its features": 4 * WIDTH,
        }
    )
    assert held(cache) <= estimate.stored(N, WIDTH) <= 1.01 * held(cache)
    assert growth <= estimate.SAMPLE < 4 * WIDTH
    assert peak <= estimate.memory(N, WIDTH, shards.ROWS)
