"""Columns of Hugging Face data sets: what they hold, and labels by name over all parts of a set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError

STRINGS = ("string", "large_string")
_BYTES = ("binary", "large_binary")


def kind(feature: Any) -> str:
    """What a column holds, in words or as its type's name."""
    if getattr(feature, "names", None) is not None:
        return "class labels"
    if isinstance(feature, dict):
        return "a struct"
    dtype = getattr(feature, "dtype", None)
    if type(feature).__name__ == "Value":
        return str(dtype)
    return {"Image": "images", "List": "lists", "Sequence": "lists"}.get(
        type(feature).__name__, type(feature).__name__
    )


def shown(part: Any) -> str:
    """Columns of a part with what they hold."""
    return ", ".join(f"{name} ({kind(part.features[name])})" for name in part.column_names)


def require_columns(part: Any, columns: Sequence[str], split: str, owner: str) -> None:
    """InputError unless a part has the columns. owner: of the set."""
    for column in columns:
        if column not in part.column_names:
            raise InputError(
                f"data: split {split} of {owner} lacks the column {column}; name one of "
                f"{', '.join(part.column_names)}"
            )


def image_kind(part: Any, column: str, split: str) -> str:
    """How a column has images: "path" or "bytes"; InputError for any other column."""
    feature = part.features[column]
    held = kind(feature)
    if held in STRINGS:
        return "path"
    if held in ("images", *_BYTES) or (isinstance(feature, dict) and "bytes" in feature):
        return "bytes"
    raise InputError(
        f"data.image_column={column}: this column of split {split} holds {held} and no images; "
        f"name another of {shown(part)}"
    )


def check_holds_texts(part: Any, column: str, split: str) -> None:
    """InputError unless a column holds texts."""
    held = kind(part.features[column])
    if held not in STRINGS:
        raise InputError(
            f"data.text_columns: the column {column} of split {split} holds {held} and no texts; "
            f"name another of {shown(part)}"
        )


def label_texts(
    parts: Mapping[str, Any], column: str, given: Sequence[str] | None, field: str
) -> tuple[list[str], Sequence[str] | None]:
    """Labels of all rows as texts, and the names of their codes, None where there are none.

    Parts may code a ClassLabel each in its own way: labels go by name. given: data.class_names or
    data.attribute_names (`field`). Raises InputError where some parts have names and others
    numbers, for a column of something else, and for names of which only some are the set's.
    """
    kinds = _kinds(parts, column, "labels")
    families = {held if held == "class labels" else _family(held) for held in kinds.values()}
    if families >= {"numbers"} and len(families) > 1:
        shown_kinds = ", ".join(f"{split} {held}" for split, held in kinds.items())
        raise InputError(
            f"data: the parts of the set write the labels {column} in different ways "
            f"({shown_kinds}), so that numbers cannot be matched to names; write them in one way"
        )
    if "class labels" not in families:
        return [_text(value) for part in parts.values() for value in part[column]], given
    codings = [part.features[column].names for part in parts.values() if _named(part, column)]
    known = list(dict.fromkeys(name for names in codings for name in names))
    alike = all(names == codings[0] for names in codings) and len(families) == 1
    names, renamed = known, dict(zip(known, known, strict=True))
    if given is not None:
        names = list(given)
        if alike and not set(given) & set(known) and len(given) >= len(known):
            renamed = dict(zip(known, given, strict=False))
        elif not set(known) <= set(given):
            raise InputError(
                f"data.{field}={names} does not hold all names that the set itself has for "
                f"{column} ({', '.join(known)}); list them all, in the order of the coding"
            )
    code = {name: str(names.index(renamed[name])) for name in known}
    return list(_coded(parts, column, code)), names


def name_texts(parts: Mapping[str, Any], column: str) -> Iterator[str]:
    """The name that a column gives each row, as text; a missing one is empty."""
    _kinds(parts, column, "names")
    for part in parts.values():
        own = part.features[column].names if _named(part, column) else None
        for value in part[column]:
            if own is None or value is None:
                yield _text(value)
            else:
                yield own[value] if value >= 0 else ""


def _kinds(parts: Mapping[str, Any], column: str, wanted: str) -> dict[str, str]:
    """What a column holds in each part; InputError where that can be no label or name."""
    kinds = {split: kind(part.features[column]) for split, part in parts.items()}
    for split, held in kinds.items():
        if held in ("a struct", "images", "lists") or held in _BYTES:
            raise InputError(
                f"data: the column {column} of split {split} holds {held} and no {wanted}; name "
                f"another of {shown(parts[split])}"
            )
    return kinds


def _family(held: str) -> str:
    return "texts" if held in STRINGS else "numbers"


def _named(part: Any, column: str) -> bool:
    return getattr(part.features[column], "names", None) is not None


def _coded(parts: Mapping[str, Any], column: str, code: Mapping[str, str]) -> Iterator[str]:
    """The code of each row's name; a label of -1, as of None, is missing and empty."""
    for split, part in parts.items():
        own = part.features[column].names if _named(part, column) else None
        for row, value in enumerate(part[column]):
            if value is None or (own is not None and value < 0):
                yield ""
                continue
            name = own[value] if own is not None else _text(value)
            if name not in code:
                raise InputError(
                    f"data: row {row} of split {split}: {column}={name!r} is not one of the names "
                    f"that other parts of the set have ({', '.join(code)}); correct it"
                )
            yield code[name]


def check_files(root: Path, columns: Sequence[str]) -> None:
    """InputError where parquet or arrow files below `root` state other names of a label.

    The library takes the names of the first file for all of them.
    """
    files = sorted(path for path in root.rglob("*") if path.suffix in (".parquet", ".arrow"))
    if (root / "dataset_dict.json").is_file() or (root / "state.json").is_file():
        return  # each part is read with names of its own
    stated = {path: _stated(path) for path in files}
    for column in columns:
        names = {path: _names_in(features, column) for path, features in stated.items()}
        having = {path: own for path, own in names.items() if own is not None}
        for path, own in names.items():
            first, expected = next(iter(having.items()), (path, None))
            lacks = own is None and not (root / "README.md").is_file()
            if own != expected and (own is not None or lacks):
                coded = f"as {', '.join(own)}" if own is not None else "without names"
                raise InputError(
                    f"data: {path} codes the labels {column} {coded}, and {first} as "
                    f"{', '.join(expected or ())}; write both with the same names in one order"
                )


def _stated(path: Path) -> Mapping[str, Any]:
    """The features that a file states for itself; none if it states nothing that can be read."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            metadata = pyarrow.parquet.read_schema(path).metadata
        else:
            with pa.memory_map(str(path)) as source:
                metadata = pa.ipc.open_stream(source).schema.metadata
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, OSError, pa.ArrowException):
        return {}
    return features if isinstance(features, Mapping) else {}


def _names_in(features: Mapping[str, Any], column: str) -> list[str] | None:
    feature = features.get(column)
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return list(map(str, names)) if isinstance(names, list) else None


def _text(value: Any) -> str:
    """A label as a table's text; a missing one is empty."""
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    return str(value).strip()
