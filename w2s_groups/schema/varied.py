"""Values of a field in `vary` or `trials`: of the type of the field, or one clear sentence."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.methods.variants import PER_FEATURE
from w2s_groups.schema.fields import numbers


def checked_values(owner: str, values: Any, key: str, method: Any) -> list[Any]:
    """Values of one field of `vary` or `trials`, of the type that the field has.

    owner: such as `vary.selective.keep`, for the error. Enums are given by their value.
    """
    where = owner[: -len(key)]
    known = {f.name for f in fields(method)}
    relative = {k + PER_FEATURE for k in known if k.startswith("l2") and k != "l2_path"}
    if key not in known | relative:
        raise unknown_name("field", owner, {where + k for k in known | relative})
    if not isinstance(values, list) or not values:
        raise InputError(f"{owner}={values} must be a list of values")
    if key in relative:
        return numbers(owner, values, float, 1e-12, 1.0)
    old = getattr(method, key)
    if isinstance(old, Enum):
        options = {option.value: option for option in type(old)}
        for value in values:
            if value not in options:
                raise unknown_name(owner, str(value), options)
        found = list(values)
    else:
        found = [_number(owner, value, old) for value in values]
    if len(set(found)) < len(found):
        raise InputError(f"{owner}={values} repeats a value; list each once")
    return found


def _number(owner: str, value: Any, old: Any) -> Any:
    """A number of the type of `old`; a whole one is never made of a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{owner}: {value!r} must be a number; change it")
    if isinstance(old, int) and not isinstance(value, int):
        raise InputError(f"{owner}: {value!r} must be a whole number; change it")
    return float(value) if isinstance(old, float) else value


def as_field(old: Any, value: Any) -> Any:
    """The enum member that `value` names where `old` is one."""
    return type(old)(value) if isinstance(old, Enum) else value
