"""Cut-outs from instance masks in COCO's format: objects with a polygon or run-length mask."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.compositing.masks import Instance


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
    for a malformed table, an id that comes twice, a field that is null, two images of one name, an
    unknown category, a missing photograph, a class without objects.
    """
    content = _read(table)
    class_of = _classes(table, content["categories"], categories)
    images = {image["id"]: image for image in content["images"]}
    names: dict[str, Any] = {}
    found: dict[Any, list[dict[str, Any]]] = {}
    small = dict.fromkeys(categories, 0)
    for annotation in content["annotations"]:
        class_name = class_of.get(annotation["category_id"])
        if class_name is None:
            continue
        _check_object(table, annotation)
        if annotation.get("iscrowd"):
            continue
        if annotation["image_id"] not in images:
            raise InputError(
                f"{table}: annotation {annotation['id']} belongs to image "
                f"{annotation['image_id']!r}, which is not listed; repair the file"
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
        identity = _identity(table, image)
        if names.setdefault(identity, number) != number:
            raise InputError(
                f"{table}: images {names[identity]!r} and {number!r} are both named {identity} "
                "(apart from the suffix), so that one photograph would be two; leave one of them"
            )
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


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _anything(value: Any) -> bool:
    return True


_VALUES = {
    **dict.fromkeys(("id", "image_id", "category_id"), ("a whole number or a name", _is_id)),
    **dict.fromkeys(("width", "height"), ("a whole number of pixels", _is_size)),
    **dict.fromkeys(("name", "file_name"), ("a name", _is_name)),
}
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
        _check_entries(table, part, entries, fields)
    return dict(content)


def _check_entries(table: Path, part: str, entries: Sequence[Any], fields: Sequence[str]) -> None:
    """InputError for an entry without a field, with a wrong value in one, or with another's id."""
    seen: dict[Any, int] = {}
    for position, entry in enumerate(entries):
        missing = [name for name in fields if not isinstance(entry, dict) or name not in entry]
        if missing:
            raise InputError(
                f"--coco={table}: entry {position} of {part!r} lacks {', '.join(missing)}; "
                "name a file of instances in COCO's format"
            )
        for name in fields:
            what, right = _VALUES.get(name, ("", _anything))
            if not right(entry[name]):
                raise InputError(
                    f"--coco={table}: entry {position} of {part!r}, id {entry['id']!r}, has "
                    f"{name}={json.dumps(entry[name])[:60]}, and {what} is expected; correct it "
                    "or take the entry out"
                )
        first = seen.setdefault(entry["id"], position)
        if first != position:
            raise InputError(
                f"--coco={table}: entry {position} of {part!r} repeats the id {entry['id']!r} of "
                f"entry {first}; files that were put together need ids of their own: number one "
                "of them anew"
            )


def _check_object(table: Path, annotation: Mapping[str, Any]) -> None:
    """InputError for an annotation whose size or mask is not known."""
    area, crowd = annotation["area"], annotation.get("iscrowd")
    known = isinstance(area, int | float) and not isinstance(area, bool)
    for name, right, what in (
        ("area", known and 0 <= area < float("inf"), "a number of pixels"),
        ("segmentation", annotation["segmentation"] is not None, "a mask"),
        ("iscrowd", crowd in (None, 0, 1), "0 or 1"),
    ):
        if not right:
            raise InputError(
                f"--coco={table}: annotation {annotation['id']!r} has "
                f"{name}={json.dumps(annotation.get(name))[:60]}, and {what} is expected; correct "
                "it or take the annotation out"
            )


def _identity(table: Path, image: Mapping[str, Any]) -> str:
    """The name of a photograph, by which its objects belong together."""
    name = image["file_name"]
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name:
        raise InputError(
            f"--coco={table}: image {image['id']!r} has file_name={name!r}, which must be a path "
            "below --coco-images, with forward slashes; correct it"
        )
    return str(Path(name).with_suffix(""))


def _classes(
    table: Path, entries: Iterable[Mapping[str, Any]], wanted: Mapping[str, Sequence[str]]
) -> dict[Any, str]:
    """Category id -> class."""
    numbers: dict[str, Any] = {}
    twice: dict[str, Any] = {}
    for entry in entries:
        if numbers.setdefault(entry["name"], entry["id"]) != entry["id"]:
            twice[entry["name"]] = entry["id"]
    class_of: dict[Any, str] = {}
    for class_name, names in wanted.items():
        for name in names:
            if name not in numbers:
                raise unknown_name(f"category of {table.name}", name, numbers)
            if name in twice:
                raise InputError(
                    f"--coco={table}: the categories {numbers[name]!r} and {twice[name]!r} are "
                    f"both named {name!r}; give them one id, or two names"
                )
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
