"""The extraction by actors of a Ray cluster of this machine: the bytes of one process's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from w2s_groups.core.seeds import stream
from w2s_groups.features import shards

ROOT = Path(__file__).resolve().parents[2]
N = 4 * shards.ROWS + 100
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs w2s_groups[ray]"),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds actors by /proc"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "images").mkdir()
    pixels = stream(0, "test/ray").integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    rows = ["img_id,img_filename,y,split,place,place_filename"]
    for k in range(N):
        Image.fromarray(pixels[k]).save(root / f"images/{k}.ppm")
        rows.append(f"{k + 1},images/{k}.ppm,{k % 2},{2 * (k % 5 == 4)},{k // 2 % 2},/x")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def started(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = (
        *("features", "data=folder", f"data.root={data}", "data.class_names=[a,b]", "workers=1"),
        *("data.attribute_names=[c,d]", "backbone=packaged/squeezenet1_1", "image_size=32"),
        *(f"cache_dir={out}/cache", *more),
    )
    return subprocess.Popen(
        [sys.executable, "-m", "w2s_groups", *words], cwd=out, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def stored(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (out / "cache/features").rglob("*") if p.is_file()}


def actors(pid: int) -> list[int]:
    """Processes below `pid` that are actors."""
    own: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        own += map(int, path.read_text().split())
    found = [child for child in own if "Maker" in title(child)]
    return found + [actor for child in own for actor in actors(child)]


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_an_actor_that_is_killed_costs_its_shard_only(data: Path, tmp_path: Path) -> None:
    for name in ("local", "ray"):
        (tmp_path / name).mkdir()
    whole = started(data, tmp_path / "local")
    assert whole.communicate(timeout=300)
    assert whole.returncode == 0
    for _ in range(3):
        process = started(data, tmp_path / "ray", "engine=ray", "+ray.init.num_cpus=1")
        here = tmp_path / "ray/cache/features"
        deadline, killed = time.monotonic() + 300, 0
        while process.poll() is None and not killed and time.monotonic() < deadline:
            if len(list(here.glob("*/shards/*.json"))) >= 1:
                killed = (actors(process.pid) or [0])[0]
            time.sleep(0.01)
        if killed:
            os.kill(killed, signal.SIGKILL)
            made = len(list(here.glob("*/shards/*.json")))
        out, err = process.communicate(timeout=300)
        # Ray gives its own processes 30 seconds to start, which a busy machine may not keep.
        if "timed out" not in err:
            break
    assert process.returncode == 0, err
    assert killed
    assert 1 <= made < 5
    assert f"features of all {N:,} images are in the cache" in out.replace("\n  ", " ")
    assert "raylet" not in out
    assert "Traceback" not in err
    assert stored(tmp_path / "ray") == stored(tmp_path / "local")
