"""Cut-outs from instance masks in COCO's format: objects with a polygon or run-length mask."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.errors import InputError, unknown_name


@dataclass(frozen=True, eq=False)
class Instance:
    """One object: its photograph, (width, height) there, and its mask as COCO states it."""

    path: Path
    number: int
    size: tuple[int, int]
    segmentation: Any

    def __str__(self) -> str:
        return f"{self.path}, annotation {self.number},"

    def mask(self) -> NDArray[np.bool_]:
        """(height, width), true inside the object. Raises InputError for a malformed mask."""
        width, height = self.size
        try:
            if isinstance(self.segmentation, dict):
                if list(self.segmentation["size"]) != [height, width]:
                    raise ValueError(
                        f"size {self.segmentation['size']} where the photograph's is "
                        f"{[height, width]}"
                    )
                return run_length_mask(self.segmentation["counts"], width, height)
            return polygon_mask(self.segmentation, width, height)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self} has a malformed mask ({error}); repair it or take it out"
            ) from error


def polygon_mask(polygons: Sequence[Sequence[float]], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width), true where a pixel's centre lies in any polygon [x0, y0, x1, y1, ...].

    Pixel (row i, column j) covers [j, j + 1) x [i, i + 1), as in COCO.
    """
    from matplotlib.path import Path as Outline  # slow to import, and only needed here

    mask = np.zeros((height, width), dtype=bool)
    if not polygons:
        raise ValueError("no polygon")
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64)
        if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
            raise ValueError("a polygon is at least three pairs x, y")
        points = points.reshape(-1, 2)
        left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
        x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
        centres = np.stack([x.ravel(), y.ravel()], axis=1)
        mask[top:bottom, left:right] |= Outline(points).contains_points(centres).reshape(x.shape)
    return mask


def run_length_mask(counts: str | Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width) mask from run lengths, outside first, down the columns; text is packed."""
    runs = np.array(unpacked(counts) if isinstance(counts, str) else counts)
    if runs.dtype.kind != "i" or runs.min() < 0 or runs.sum() != width * height:
        raise ValueError(f"its runs do not add up to {width} x {height} pixels")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Run lengths from COCO's text: five bits a character, lowest first, from "0" up.

    Bit 5 says that more follow; the last one's bit 4 is the sign. From the fourth on, a number is
    the difference to the run two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} is no part of a packed mask")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("a packed mask ends within a number")
    return runs


def instances(
    table: Path,
    photographs: Path,
    categories: Mapping[str, Sequence[str]],
    min_area: float,
    every: bool,
) -> dict[str, dict[str, list[Instance]]]:
    """Class -> photograph -> its objects of at least min_area pixels, crowds left out.

    categories: class -> names in `table`. A photograph gives its largest object alone or, if
    `every`, all objects of that one's class: it is one identity, of one class. Raises InputError
    for a malformed table, an unknown category, a missing photograph, a class without objects.
    """
    content = _read(table)
    class_of = _classes(table, content["categories"], categories)
    images = {image["id"]: image for image in content["images"]}
    found: dict[Any, list[dict[str, Any]]] = {}
    small = dict.fromkeys(categories, 0)
    for annotation in content["annotations"]:
        class_name = class_of.get(annotation["category_id"])
        if class_name is None or annotation.get("iscrowd"):
            continue
        if annotation["image_id"] not in images:
            raise InputError(
                f"{table}: annotation {annotation['id']} belongs to image "
                f"{annotation['image_id']}, which is not listed; repair the file"
            )
        if annotation["area"] < min_area:
            small[class_name] += 1
        else:
            found.setdefault(annotation["image_id"], []).append(annotation)
    result: dict[str, dict[str, list[Instance]]] = {name: {} for name in categories}
    for number, objects in found.items():
        objects.sort(key=lambda one: (-one["area"], one["id"]))
        own = class_of[objects[0]["category_id"]]
        kept = [one for one in objects if class_of[one["category_id"]] == own]
        image = images[number]
        identity = str(Path(image["file_name"]).with_suffix(""))
        result[own][identity] = [
            Instance(
                photographs / image["file_name"],
                one["id"],
                (image["width"], image["height"]),
                one["segmentation"],
            )
            for one in (kept if every else kept[:1])
        ]
    for name, identities in result.items():
        if not identities:
            raise InputError(
                f"{table}: class {name} ({', '.join(categories[name])}) has no object of at least "
                f"{min_area:g} pixels that is the largest in its photograph, and {small[name]} "
                "smaller ones; lower --min-area or name other categories"
            )
    paths = (one.path for ids in result.values() for objects in ids.values() for one in objects)
    _require(table, photographs, paths)
    return result


_NEEDED = {
    "categories": ("id", "name"),
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "area", "segmentation"),
}


def _read(table: Path) -> dict[str, list[dict[str, Any]]]:
    if not table.is_file():
        raise InputError(f"--coco={table} does not exist; name a file such as instances_val.json")
    try:
        content = json.loads(table.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--coco={table} is no JSON: {error}; download it again") from error
    for part, fields in _NEEDED.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise InputError(
                f"--coco={table} has no list {part!r}; name a file of instances in COCO's format"
            )
        for position, entry in enumerate(entries):
            missing = [name for name in fields if not isinstance(entry, dict) or name not in entry]
            if missing:
                raise InputError(
                    f"--coco={table}: entry {position} of {part!r} lacks {', '.join(missing)}; "
                    "name a file of instances in COCO's format"
                )
    return dict(content)


def _classes(
    table: Path, entries: Iterable[Mapping[str, Any]], wanted: Mapping[str, Sequence[str]]
) -> dict[Any, str]:
    """Category id -> class."""
    numbers = {str(entry["name"]): entry["id"] for entry in entries}
    class_of: dict[Any, str] = {}
    for class_name, names in wanted.items():
        for name in names:
            if name not in numbers:
                raise unknown_name(f"category of {table.name}", name, numbers)
            if class_of.setdefault(numbers[name], class_name) != class_name:
                raise InputError(
                    f"--coco-classes: category {name!r} is in the classes "
                    f"{class_of[numbers[name]]} and {class_name}; leave it in one"
                )
    return class_of


def _require(table: Path, folder: Path, paths: Iterable[Path]) -> None:
    """One scan per folder, not one query per photograph."""
    present: dict[Path, set[str]] = {}
    absent: dict[str, None] = {}
    for path in paths:
        if path.parent not in present:
            present[path.parent] = set(os.listdir(path.parent)) if path.parent.is_dir() else set()
        if path.name not in present[path.parent]:
            absent[str(path.relative_to(folder))] = None
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise InputError(
            f"--coco={table} lists photographs that are not in {folder}: "
            f"{', '.join(list(absent)[:3])}{more}; set --coco-images to their folder"
        )
