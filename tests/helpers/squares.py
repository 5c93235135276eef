"""A small folder of images, and a run on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from w2s_groups.core.seeds import stream

SMALL = (
    "data=folder",
    "data.name=squares",
    "data.class_names=[low,high]",
    "data.attribute_names=[green,blue]",
    "student=packaged/efficientnet_lite0",
    "image_size=32",
    "eta_l=0.25",
    "eta_u=[0.25,0.5]",
    "n_l=8",
    "n_u=16",
    "seeds=[0,1]",
)


def make_folder(root: Path) -> Path:
    """64 pool and 32 test images: brightness shows the class, the tint the attribute."""
    rng = stream(0, "test/images")
    rows = ["img_id,img_filename,y,split,place,place_filename"]
    (root / "images").mkdir(parents=True)
    for i in range(96):
        y, a = i % 2, i // 2 % 2
        pixels = rng.integers(0, 40, (32, 32, 3)) + 150 * y
        pixels[..., 1 + a] += 60
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"images/{i:02d}.png")
        rows.append(f"{i + 1},images/{i:02d}.png,{y},{0 if i < 64 else 2},{a},/x")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def places(folder: Path, cache: Path, out: Path) -> tuple[str, ...]:
    return (
        f"data.root={folder}",
        f"cache_dir={cache}",
        f"results_dir={out / 'results'}",
        f"reports_dir={out / 'reports'}",
    )


def cells_in(out: Path) -> dict[str, bytes]:
    found = sorted((out / "results" / "leaderboard").glob("????????????????-v?.json"))
    return {path.name: path.read_bytes() for path in found}
