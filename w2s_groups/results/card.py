"""The card of a method that was trained elsewhere: what a reader has to know to judge it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.methods import METHODS

GROUP_LABELS = ("none", "val", "train")
TUNED_ON = ("nothing", "labelled", "validation")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")
_URL = re.compile(r"https?://[^\s/]+\S*")

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value.strip()


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_text, value))


def _number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(names: tuple[str, ...]) -> tuple[Check, str]:
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


_LINE = (_text, "a line of text")
# Dotted field -> whether a value is one, and what one is.
FIELDS: dict[str, tuple[Check, str]] = {
    "name": (
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "1 to 60 letters, digits or _ . - with a letter first",
    ),
    "authors": (_texts, "a list of names"),
    "url": (
        lambda value: isinstance(value, str) and bool(_URL.fullmatch(value)),
        "an address that begins with https://",
    ),
    "summary": _LINE,
    "group_labels_used": _one_of(GROUP_LABELS),
    "uses_true_labels": (_is_bool, "true or false: whether it reads those of unlabelled samples"),
    "reference": (_is_bool, "true or false"),
    "tuning.what": _LINE,
    "tuning.data": _one_of(TUNED_ON),
    "tuning.trials": (_whole, "a whole number: how many settings were tried, 0 for none"),
    "compute.hardware": _LINE,
    "compute.hours": (_number, "a number of hours, 0 or more"),
    "networks.teacher": _LINE,
    "networks.student": _LINE,
}
_GROUPS = {name.partition(".")[0] for name in FIELDS if "." in name}
# Of a card, what may differ from one data set to another.
OF_DATA = ("compute", "networks")


def read(path: Path) -> dict[str, Any]:
    """The card in a YAML file, every field of FIELDS; InputError in a sentence for all else."""
    flat = dict(_flat(path, _loaded(path)))
    lacking = [name for name in FIELDS if name not in flat]
    if lacking:
        raise InputError(
            f"{path} lacks {', '.join(lacking)}; docs/submitting.md shows a whole card"
        )
    for name, (is_one, what) in FIELDS.items():
        if not is_one(flat[name]):
            raise InputError(f"{path}: {name}={flat[name]!r} must be {what}; change it")
    _check(path, flat)
    card: dict[str, Any] = {}
    for name in FIELDS:
        top, _, field = name.partition(".")
        value = flat[name].strip() if isinstance(flat[name], str) else flat[name]
        if field:
            card.setdefault(top, {})[field] = value
        else:
            card[top] = value
    return card


def _check(path: Path, flat: Mapping[str, Any]) -> None:
    """InputError for fields that do not go together, and for a name of ours."""
    name = flat["name"]
    ours = next((own for own in METHODS if own.lower() == name.lower()), None)
    if ours is not None:
        raise InputError(
            f"{path}: name={name} is the method {ours} of this package; choose another name"
        )
    if flat["uses_true_labels"] and not flat["reference"]:
        raise InputError(
            f"{path}: uses_true_labels=true reads what a student does not have; set "
            "reference=true, and it is shown without a rank"
        )
    if (flat["tuning.trials"] == 0) != (flat["tuning.data"] == "nothing"):
        raise InputError(
            f"{path}: tuning.trials={flat['tuning.trials']} and tuning.data={flat['tuning.data']} "
            "do not go together; trials=0 and data=nothing stand for settings fixed beforehand"
        )


def _loaded(path: Path) -> dict[Any, Any]:
    try:
        loaded = OmegaConf.load(path)
    except FileNotFoundError:
        raise InputError(f"--card={path} names a file that is missing; correct the path") from None
    except OSError as error:
        raise InputError(
            f"--card={path} cannot be read ({error.strerror}); correct the path"
        ) from None
    except Exception as error:  # of the YAML reader, which has many
        raise InputError(
            f"{path} is not a YAML file ({' '.join(str(error).split())[:200]}); correct it"
        ) from error
    if not isinstance(loaded, DictConfig):
        raise InputError(f"{path} must hold fields, such as name: my_method")
    try:
        content = OmegaConf.to_container(loaded, resolve=False)
    except OmegaConfBaseException as error:
        raise InputError(f"{path} cannot be read ({error}); correct it") from error
    assert isinstance(content, dict)
    return content


def _flat(path: Path, content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted fields and values; InputError for a field that no card has, with near matches."""
    for name, value in content.items():
        if name in _GROUPS and isinstance(value, dict):
            for field, inner in value.items():
                if f"{name}.{field}" not in FIELDS:
                    raise unknown_name(f"{path}: field", f"{name}.{field}", FIELDS)
                yield f"{name}.{field}", inner
        elif name in FIELDS and "." not in name:
            yield name, value
        elif name in _GROUPS:
            raise InputError(f"{path}: {name} must hold fields, as docs/submitting.md shows")
        else:
            raise unknown_name(f"{path}: field", str(name), {*FIELDS, *_GROUPS})
