"""Cut-outs from instance masks in COCO's format: objects with a polygon or run-length mask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import check_path
from w2s_groups.data.compositing.masks import Instance
from w2s_groups.data.compositing.sources import walk
from w2s_groups.data.files.scan import require_files


def instances(
    table: Path,
    photographs: Path,
    categories: Mapping[str, Sequence[str]],
    min_area: float,
    every: bool,
) -> dict[str, dict[str, list[Instance]]]:
    """Class -> photograph -> its objects of at least min_area pixels, crowds left out.

    categories: class -> names in `table`. A photograph gives its largest object only or, if
    `every`, all objects of that one's class: it is one identity, of one class. Raises InputError
    for a malformed table, an id that comes twice, a field that is null, two images of one name, an
    unknown category, a missing photograph, a class without objects.
    """
    content = _read(table)
    class_of = _classes(table, content["categories"], categories)
    images = {image["id"]: image for image in content["images"]}
    objects = _objects(table, content["annotations"], images, class_of)
    large = [one for one in objects if one["area"] >= min_area]
    by_class = _by_class(table, photographs, images, large, class_of, every)
    for name, names in categories.items():
        if name not in by_class:
            own = [one for one in objects if class_of[one["category_id"]] == name]
            n_small = sum(one["area"] < min_area for one in own)
            raise InputError(
                f"{table}: class {name} ({', '.join(names)}) has no object of at least "
                f"{min_area:g} pixels that is the largest in its photograph, and {n_small} "
                "smaller ones; lower --min-area or name other categories"
            )
    used = (one.path for _, _, one in walk(by_class))
    files = list(dict.fromkeys(path.relative_to(photographs).as_posix() for path in used))
    remedy = "set --coco-images to the folder with them"
    require_files(photographs, files, f"--coco={table}", remedy=remedy)
    return {name: by_class[name] for name in categories}


def _objects(
    table: Path,
    annotations: Sequence[dict[str, Any]],
    images: Mapping[Any, Any],
    class_of: Mapping[Any, str],
) -> list[dict[str, Any]]:
    """Annotations of the wanted categories, checked; crowds are left out."""
    objects = []
    for annotation in annotations:
        if annotation["category_id"] not in class_of:
            continue
        _check_object(table, annotation)
        if annotation.get("iscrowd"):
            continue
        if annotation["image_id"] not in images:
            raise InputError(
                f"{table}: annotation {annotation['id']} belongs to image "
                f"{annotation['image_id']!r}, which is not listed; repair the file"
            )
        objects.append(annotation)
    return objects


def _by_class(
    table: Path,
    photographs: Path,
    images: Mapping[Any, Mapping[str, Any]],
    objects: Sequence[dict[str, Any]],
    class_of: Mapping[Any, str],
    every: bool,
) -> dict[str, dict[str, list[Instance]]]:
    """Class -> photograph -> objects, for classes that have any; see `instances`."""
    of_image: dict[Any, list[dict[str, Any]]] = {}
    for one in objects:
        of_image.setdefault(one["image_id"], []).append(one)
    numbers: dict[str, Any] = {}
    result: dict[str, dict[str, list[Instance]]] = {}
    for number, own in of_image.items():
        own.sort(key=lambda one: (-one["area"], one["id"]))
        class_name = class_of[own[0]["category_id"]]
        kept = [one for one in own if class_of[one["category_id"]] == class_name]
        image = images[number]
        identity = _identity(table, image)
        if numbers.setdefault(identity, number) != number:
            raise InputError(
                f"{table}: images {numbers[identity]!r} and {number!r} are both named {identity} "
                "(apart from the suffix), so that one photograph would be two; leave one of them"
            )
        path, size = photographs / image["file_name"], (image["width"], image["height"])
        result.setdefault(class_name, {})[identity] = [
            Instance(path, one["id"], size, one["segmentation"])
            for one in (kept if every else kept[:1])
        ]
    return result


_LARGEST = 100_000  # pixels of a side


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


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
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"--coco={table} is not a JSON file ({error}); download it again"
        ) from error
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
    path = check_path(f"--coco={table}: image {image['id']!r}, file_name", name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.name:
        raise InputError(
            f"--coco={table}: image {image['id']!r} has file_name={name!r}, which must be a path "
            "below --coco-images, with forward slashes; correct it"
        )
    return str(path.with_suffix(""))


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
