"""Values of fields of the configuration: checked and made into lists, or one clear sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_path
from w2s_groups.core.spreadsheet import is_formula

ORIGINAL = "original"  # the minority fraction that the data set itself has
# Folders of results_dir that hold no cells of an experiment: no experiment may be named so.
NO_EXPERIMENTS = ("pairs", "theory", "multirun", "tensorboard", "wandb")
_LONGEST = 1000  # characters of a network's name, which may be the path of a file
_FOLDER = re.compile(r"\w[\w.,+=-]{0,99}")


def folder_name(field: str, value: Any) -> str:
    """A name that becomes one folder below results_dir and reports_dir, whatever the system."""
    name = str(value)
    if not _FOLDER.fullmatch(name) or name.endswith("."):
        raise InputError(
            f"{field}={name!r} becomes the name of a folder, so it must be 1 to 100 letters, "
            "digits or _ - + = , . with a letter, a digit or _ first and no . last; choose another "
            "name, such as paper_fig1"
        )
    if field == "experiment_name" and name.lower() in NO_EXPERIMENTS:
        raise InputError(
            f"{field}={name!r} is the name of a folder that holds other things in results_dir; "
            f"choose a name other than {', '.join(NO_EXPERIMENTS)}"
        )
    return name


def as_folder(name: str) -> str:
    """A name that `folder_name` takes, of one that may hold other characters."""
    return re.sub(r"[^\w+=,.-]", "_", name, flags=re.ASCII).lstrip("-+=,.").rstrip(".")[:100] or "_"


def mapping(name: str, value: Any, kind: Any) -> Any:
    """The value, an object of `kind`, which keys below `name` set; InputError for anything else."""
    if not isinstance(value, kind):
        shown = "null" if value is None else value
        raise InputError(
            f"{name}={shown} must be a mapping; set its keys one by one, such as {name}.KEY=VALUE"
        )
    return value


def names(name: str, value: Any) -> list[str]:
    """One network or several, each once."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(v, str) for v in values):
        raise InputError(f"{name}={value} must be the name of a network or a list of names")
    for v in values:
        if not v.strip() or not v.isprintable() or len(v) > _LONGEST:
            raise InputError(
                f"{name}={v[:100]!r} cannot name a network: a name has 1 to {_LONGEST} characters, "
                "none of them a line break; change it"
            )
        if is_formula(v):
            raise InputError(
                f"{name}={v[:100]!r} begins with one of = + - @, and a spreadsheet that opens a "
                "table of results could run it; choose another name"
            )
        check_path(name, v)  # as which it may be read
    if len(set(values)) < len(values):
        raise InputError(f"{name}={value} repeats a network; list each once")
    return values


def etas(name: str, value: Any) -> list[Any]:
    """Minority fractions in [0, 1/2]; "original" stays until the data are known."""
    values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else list(value)
    named = [v for v in values if v == ORIGINAL]
    others = [v for v in values if v != ORIGINAL]
    if len(named) > 1:
        raise InputError(f"{name}={value} repeats a value; list each once")
    checked = iter(numbers(name, others, float, 0.0, 0.5) if others or not named else [])
    return [v if v == ORIGINAL else next(checked) for v in values]


def numbers(name: str, value: Any, kind: type, low: float, high: float) -> list[Any]:
    """The value or list of values as a list without repeats, each checked against its range."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not values:
        raise InputError(f"{name}=[] is empty; give at least one value")
    for v in values:
        whole = isinstance(v, int) and not isinstance(v, bool)
        if not (whole or (kind is float and isinstance(v, float))) or not low <= v <= high:
            raise InputError(
                f"{name}={v!r} must be {'a whole number' if kind is int else 'a number'} in "
                f"[{low:g}, {high:g}]; change {name}"
            )
    converted = [kind(v) for v in values]
    if len(set(converted)) < len(converted):
        raise InputError(f"{name}={value} repeats a value; list each once")
    return converted
