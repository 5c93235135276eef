"""Methods under the settings that `vary` and `trials` list: each value checked, each made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from enum import Enum
from typing import Any

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.roles import plain
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Method
from w2s_groups.methods.variants import (
    L2,
    PER_FEATURE,
    SCALE,
    Variant,
    expand,
    nearest_first,
)
from w2s_groups.schema.fields import numbers

Methods = Mapping[str, Method]
Listed = Mapping[str, dict[str, Any]]  # method -> field -> values


def checked(methods: Methods, vary: Listed, trials: Listed) -> dict[str, dict[str, Any]]:
    """Values of both made what their fields hold; the trials of the methods at hand.

    Trials are listed for every method, of which a run has some.
    """
    unknown = next((name for name in trials if name not in METHODS), None)
    if unknown is not None:
        raise unknown_name("trials", unknown, METHODS)
    own = {name: listed for name, listed in trials.items() if name in methods}
    for where, asked in (("vary", vary), ("trials", own)):
        for name, listed in asked.items():
            if name not in methods:
                raise unknown_name(where, name, methods)
            for key, values in listed.items():
                listed[key] = checked_values(f"{where}.{name}.{key}", values, key, methods[name])
    both = sorted(set(vary) & set(own))
    if both:
        raise InputError(
            f"vary.{both[0]} and trials.{both[0]} both list settings of {both[0]}; drop "
            f"vary.{both[0]}, or set trials=none"
        )
    return own


def check_equal(methods: Methods, trials: Listed) -> None:
    """InputError unless every ranked method has the same number of trials."""
    counts = {
        name: len(expand({name: trials.get(name, {})}, trial=True))
        for name, method in methods.items()
        if not method.reference
    }
    if len(set(counts.values())) > 1:
        fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        raise InputError(
            f"trials gives {most} {counts[most]} settings and {fewest} {counts[fewest]}: "
            f"every ranked method needs as many; list as many in trials.{fewest} (as "
            "conf/trials/ does), or set trials=none and select=fixed"
        )


def variants(vary: Listed, trials: Listed) -> list[Variant]:
    """Every combination of the values of both."""
    return [*expand(vary, trial=False), *expand(trials, trial=True)]


def resolved(
    methods: Methods, of: Sequence[Variant], widths: Mapping[str, int]
) -> dict[str, Method]:
    """The methods and their variants by name. widths: side -> features that vary."""
    made = dict(methods)
    for variant in of:
        method = methods[variant.base]
        values = variant.resolved(widths[method.side])
        own = {key: as_field(getattr(method, key), value) for key, value in values.items()}
        made[variant.name] = replace(method, **own)
    return made


def built_on(methods: Methods, trials: Listed, of: Sequence[Variant]) -> dict[str, dict[str, str]]:
    """Variant -> method that it needs -> what it builds on in that one's place.

    A trial is a whole recipe with one l2: it builds on the trial of the same l2 of what it needs.
    What has no trials, such as the teacher, is built on as it is.
    """
    built: dict[str, dict[str, str]] = {}
    for variant in of:
        whole = variant.trial and L2 in variant.settings
        needs = methods[variant.base].needs if whole else ()
        built[variant.name] = {
            need: _of_same_l2(need, variant, methods, trials) for need in needs if need in trials
        }
    return built


def _of_same_l2(need: str, variant: Variant, methods: Methods, trials: Listed) -> str:
    """The trial of `need` at the l2 of `variant`, the nearest to the published setting of those."""
    alike = [
        other
        for other in expand({need: trials[need]}, trial=True)
        if other.settings.get(L2) == variant.settings[L2]
    ]
    if not alike:
        raise InputError(
            f"trials.{variant.base}.{L2}={variant.settings[L2]} builds on {need} "
            f"at that l2, which trials.{need} lacks; add the value there"
        )
    return nearest_first(alike, plain(methods[need]), round(1 / SCALE))[0].name


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
        typed = list(values)
    else:
        typed = [_number(owner, value, old) for value in values]
    if len(set(typed)) < len(typed):
        raise InputError(f"{owner}={values} repeats a value; list each once")
    return typed


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
