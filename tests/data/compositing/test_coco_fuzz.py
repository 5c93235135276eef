"""Damaged COCO files: one sentence, or cut-outs of photographs of the folder. No traceback."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from w2s_groups.core.errors import InputError
from w2s_groups.data.compositing.coco import instances
from w2s_groups.data.compositing.paste import open_cutout

WIDTH, HEIGHT = 16, 12
SQUARE = [[1, 1, 9, 1, 9, 8, 1, 8]]
RUNS = {"size": [HEIGHT, WIDTH], "counts": [20, 30, 142]}
VALUES = (
    None, True, -1, 0, 1.5, 1e308, float("nan"), float("inf"), 2**31, 2**70, 100_000, "", "x",
    "1", "\0", "\ud800", "é\n", "y" * 300, "../out.jpg", "/etc/passwd", "..", "a/../b.jpg", ".",
    "a.jpg/", "~x", [], {}, [[]], [1], [[1, 2, 3, 4, 5, 6]], [[1e300] * 6], [[1, 2] * 100],
    [["a"] * 6], [[0, 0, 2**70, 0, 5, 5]], [[float("nan")] * 6], {"size": 12},
    [[[1, 1], [2, 2], [3, 3]]],
    *(
        {"size": [HEIGHT, WIDTH], "counts": counts}
        for counts in ([], {}, [[1], [191]], "o" * 50, [2**62] * 4 + [192], [2**70], ["a"], None)
    ),
    {"size": [2**40, 2**40], "counts": [1]},
)  # fmt: skip


def content() -> dict[str, Any]:
    """Four photographs with two objects each: polygons and run lengths."""
    return {
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "images": [
            {"id": i, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT}
            for i, name in enumerate("abcd", start=1)
        ],
        "annotations": [
            {"id": k, "image_id": 1 + k % 4, "category_id": 1 + k % 2, "area": 50 + k,
             "segmentation": SQUARE if k % 3 else RUNS, "iscrowd": 0}
            for k in range(1, 9)
        ],
    }  # fmt: skip


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*prefix, key)
        if isinstance(one, dict | list):
            yield from paths(one, (*prefix, key))


def damaged(rng: random.Random) -> str:
    """The file after one or two mutations: a value exchanged or nested, or a key dropped."""
    made = copy.deepcopy(content())
    for _ in range(rng.choice((1, 1, 2))):
        *path, last = rng.choice(list(paths(made)))
        owner: Any = made
        for key in path:
            owner = owner[key]
        if rng.random() < 0.2:
            del owner[last]
        else:
            owner[last] = copy.deepcopy(rng.choice(VALUES))
    text = json.dumps(made)
    if rng.random() < 0.02:
        deep = 100_000
        text = f'{text[:-1]}, "deep": {"[" * deep}{"]" * deep}}}'
    return text


def cutouts(folder: Path, every: bool = True) -> int:
    """Number of objects that are cut out, each of a photograph of the folder."""
    found = instances(folder / "i.json", folder, {"c": ["cat"], "d": ["dog"]}, 10, every)
    objects = [one for photographs in found.values() for own in photographs.values() for one in own]
    for one in objects:
        assert one.path.resolve().parent == folder.resolve()
        assert open_cutout(one, 64).size <= (WIDTH, HEIGHT)
    return len(objects)


@pytest.mark.parametrize("n", [400, pytest.param(16_000, marks=pytest.mark.slow)])
def test_a_damaged_file_is_read_right_or_refused(tmp_path: Path, n: int) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed, name in enumerate(("a", "b", "c", "d", "../out")):
        pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.jpg")
    (folder / "i.json").write_text(json.dumps(content()))
    assert cutouts(folder) == 8
    rng, read, said = random.Random(n), 0, []
    for number in range(n):
        text = damaged(rng)
        (folder / "i.json").write_text(text, encoding="utf-8")
        try:
            read += cutouts(folder, rng.random() < 0.5) > 0
        except InputError as refused:
            said.append(str(refused))
        except Exception as error:
            raise AssertionError(f"file {number}: {error!r}: {text[:2000]}") from error
    assert n / 20 < read < n
    assert not [text for text in said if not text.isprintable() or len(text) > 1500]


def test_runs_whose_sum_wraps_around_are_refused(tmp_path: Path) -> None:
    """Four runs of 2^62 pixels are none in 64 bits: repeating them would leave the memory."""
    made = copy.deepcopy(content())
    made["annotations"][0]["segmentation"] = {**RUNS, "counts": [2**62] * 4 + [WIDTH * HEIGHT]}
    (tmp_path / "i.json").write_text(json.dumps(made))
    for name in "abcd":
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{name}.jpg")
    with pytest.raises(InputError, match="its runs do not add up to 16 x 12 pixels"):
        cutouts(tmp_path)
