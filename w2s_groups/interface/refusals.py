"""What Hydra and OmegaConf refuse, as one sentence: field, value, rule, remedy."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

from hydra.errors import MissingConfigException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
    ValidationError,
)

from w2s_groups.core.errors import InputError, unknown_name

# Launcher -> the extra that brings it.
_EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
    "ray": "ray",
    "ray_aws": "ray",
}
_TECHNICAL = re.compile(r"\s*(full_key:|reference_type=|object_type=|See https?:)")


def missing_extra(group: str, name: str) -> InputError | None:
    """Error for hydra/launcher=name where the package that brings it is not installed."""
    if group != "hydra/launcher" or name not in _EXTRAS:
        return None
    extra = _EXTRAS[name]
    return InputError(
        f"hydra/launcher={name} needs hydra-{extra}-launcher, which is not installed; install it: "
        f"pip install 'w2s_groups[{extra}]'"
    )


def sentence(error: BaseException) -> str:
    """One line for an error of Hydra or OmegaConf."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(error, MissingConfigException):
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if extra := missing_extra(group, name):
            return str(extra)
        if error.options is not None:
            return str(unknown_name(group, name, error.options))
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.full_key:
        return _unknown_key(str(error), cause)
    if isinstance(cause, ValidationError) and cause.full_key and cause.object_type is not None:
        return _wrong_value(cause)
    return _plain(error, cause)


def _plain(error: BaseException, cause: BaseException | None) -> str:
    """What the libraries say, without what they add for those who program with them."""
    said = [line for one in (error, error.__cause__) if one for line in str(one).splitlines()]
    kept = dict.fromkeys(line.strip() for line in said if not _TECHNICAL.match(line))
    text = " ".join(kept).strip()
    key = str(getattr(cause, "full_key", None) or "")
    return f"{key}: {text}; change {key}" if key else text


def _unknown_key(text: str, cause: OmegaConfBaseException) -> str:
    prefix, _, name = str(cause.full_key).rpartition(".")
    if prefix == "vary" or cause.full_key == "vary":
        new = text.rpartition(" use ")[2].strip()
        return f"vary has no {name} yet; put a plus before it: {new}"
    parent = cause.parent_node
    known = [str(key) for key in parent] if parent is not None else []
    dotted = f"{prefix}." if prefix else ""
    also = f"; add {name} to methods=[...] to set it" if prefix == "methods" else ""
    return f"{unknown_name('key', dotted + name, {dotted + key for key in known})}{also}"


def _wrong_value(cause: ValidationError) -> str:
    key, value = str(cause.full_key), cause.value
    try:
        kind = get_type_hints(cause.object_type)[str(cause.key)]
    except (KeyError, TypeError, NameError):
        return f"{key}={value}: {str(cause).splitlines()[0]}"
    optional = get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)
    if optional:
        (kind, *_) = [part for part in get_args(kind) if part is not type(None)]
    if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(value, str):
        return str(unknown_name(key, value, kind.__members__))
    if is_dataclass(kind):
        names = ", ".join(f"{key}.{f.name}" for f in fields(kind))
        return f"{key}={value} must be a mapping; set its keys one by one: {names}"
    rule = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(kind)
    if rule is None and isinstance(kind, type) and issubclass(kind, Enum):
        rule = f"one of {', '.join(kind.__members__)}"
    if get_origin(kind) is dict:
        rule = "a mapping"
    null = ", or null" if optional else ""
    if isinstance(value, list | tuple):
        each = ",".join(str(one) for one in value)
        return (
            f"{key}={list(value)} must be one value, {rule or 'no list'}{null}; for several give "
            f"one at a time, or sweep over them: --multirun {key}={each}"
        )
    shown = "null" if value is None else value
    return f"{key}={shown} must be {rule or 'of another type'}{null}; change {key}"
