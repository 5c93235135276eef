"""Methods from outside this package: a decorated function, or a subclass of Method."""

from __future__ import annotations

import inspect
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import field, fields, make_dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, overload

import numpy as np

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range, snake_case

Function = Callable[..., Any]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KINDS = (bool, int, float, str)


@overload
def method(function: Function, /) -> type[Method]: ...
@overload
def method(
    *,
    name: str = ...,
    summary: str = ...,
    sources: str | Sequence[str] = ...,
    side: Literal["teacher", "student"] = ...,
    needs: str | Sequence[str] = ...,
    needs_groups: Literal["none", "val", "train"] = ...,
    needs_truth: bool = ...,
    needs_neighbours: bool = ...,
    needs_prompts: bool = ...,
    reference: bool = ...,
    upweights: bool = ...,
    unsupported: Mapping[str, str] = ...,
    tunes: str = ...,
    paper_tunes: str = ...,
    colour: str = ...,
    ranges: Mapping[str, tuple[float, float]] = ...,
) -> Callable[[Function], type[Method]]: ...
def method(function: Function | None = None, /, **facts: Any) -> Any:
    """Make a method of a function: a class whose settings are its keyword-only arguments.

    The function is called with (draws, solved, *, settings) in every cell: `draws` is a
    methods.base.Draws, `solved` the heads of the methods in `needs`. It returns the targets
    (n_u, C) of the student's head on all unlabelled rows, or (rows, targets), or
    (rows, targets, weights), or a Problem of any other kind. A generator may yield lists of
    problems on its way; each yield is answered by their heads.

    Each keyword-only argument needs a default, a number, text, bool or Enum, and is a setting:
    methods.NAME.ARGUMENT on the command line. `l2`, where the function names it, is the weight of
    the L2 penalty, by default the run's. ranges: setting -> (lowest, highest) value. The other
    facts are the class variables of methods.base.Method; name: by default the function's;
    summary: by default the first line of its docstring. The function stays at hand as `.function`.

    Raises InputError for a function of another form, or a fact that no method has.
    """
    if function is not None:
        return _made(function, {})
    return lambda decorated: _made(decorated, facts)


class Decorated(Method):
    """What `method` makes of a function."""

    function: ClassVar[Function]
    settings: ClassVar[tuple[str, ...]] = ()
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.settings:
            value = getattr(self, name)
            if name in self.ranges:
                check_range(self, name, *self.ranges[name])
            elif isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{self.name}.{name}={value} must be a finite number; change it")

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        settings = {name: getattr(self, name) for name in self.settings}
        answer = type(self).function(draws, solved, **settings)
        if inspect.isgenerator(answer):
            answer = yield from answer
        else:
            yield from ()
        problem: Problem = self._problem(draws, answer)
        return problem

    def _problem(self, draws: Draws, answer: Any) -> Any:
        """The problem that an answer stands for; an answer of another kind as it is."""
        parts = answer if isinstance(answer, tuple) else (draws.unlabelled, answer)
        if isinstance(answer, Problem) or len(parts) not in (2, 3):
            return answer
        if not all(isinstance(part, np.ndarray) for part in parts):
            return answer
        rows, targets, *weights = parts
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2, *weights)


def as_method(given: Any) -> tuple[str, type[Method]]:
    """Name and class of a method: what `method` returned, or another subclass of Method.

    Raises InputError for anything else, and for a class that leaves `steps` out.
    """
    if not (isinstance(given, type) and issubclass(given, Method)):
        shown = getattr(given, "__name__", None) or repr(given)
        hint = "put @w2s.method above it" if inspect.isfunction(given) else "give a Method subclass"
        raise InputError(f"{shown} is not a method; {hint} (docs/plugins.md)")
    if inspect.isabstract(given):
        lacking = ", ".join(sorted(given.__abstractmethods__))
        raise InputError(f"the method {given.__name__} leaves out {lacking}; define it")
    own = inspect.get_annotations(given)
    declared = {key for key, kind in own.items() if "ClassVar" not in str(kind)}
    if declared - {f.name for f in fields(given)}:
        raise InputError(
            f"the method {given.__name__} has settings that are not dataclass fields; put "
            "@dataclass above the class"
        )
    name = given.__dict__.get("name") or snake_case(given.__name__)
    return checked_name(name), given


def checked_name(name: str) -> str:
    """A name that can be a key of the configuration."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"the method's name {name!r} must be letters, digits and _, with a letter first; "
            "set name="
        )
    return name


def _made(function: Any, facts: Mapping[str, Any]) -> type[Method]:
    """The class of a decorated function."""
    if not inspect.isfunction(function):
        raise InputError(f"@method stands above a function, and {function!r} is none; move it")
    known = {n for n, k in Method.__annotations__.items() if "ClassVar" in k and n not in _OWN}
    for fact in facts:
        if fact not in known | {"ranges"}:
            raise unknown_name(f"@method of {function.__name__}: fact", fact, known | {"ranges"})
    name = checked_name(str(facts.get("name") or function.__name__))
    settings = _settings(name, function)
    own = dict(facts)
    for fact in ("sources", "needs"):
        if isinstance(own.get(fact), str):
            own[fact] = (own[fact],)
    own = {fact: tuple(v) if isinstance(v, list) else v for fact, v in own.items()}
    first = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
    namespace = {
        "summary": first,
        **own,
        "name": name,
        "function": staticmethod(function),
        "settings": tuple(settings),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
    }
    _check_facts(name, namespace, settings)
    described = [
        (key, kind) if default is NO_DEFAULT else (key, kind, field(default=default))
        for key, (kind, default) in settings.items()
        if not (key == "l2" and default is NO_DEFAULT)
    ]
    made = make_dataclass(function.__name__, described, bases=(Decorated,), namespace=namespace)
    made.__module__ = function.__module__
    return made


_OWN = ("version", "code")  # facts that follow from where a method comes from


def _settings(name: str, function: types.FunctionType) -> dict[str, tuple[type, Any]]:
    """Setting -> its type and default, of a function's keyword-only arguments."""
    parameters = inspect.signature(function).parameters.values()
    first = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if len(first) != 2 or len(first) + len(rest) < len(parameters):
        raise InputError(
            f"the method {name} must take (draws, solved, *, settings), and its function takes "
            f"{inspect.signature(function)}; change its arguments"
        )
    taken = next((p.name for p in rest if p.name != "l2" and hasattr(Decorated, p.name)), None)
    if taken is not None:
        raise InputError(
            f"the method {name}: {taken} is the name of a fact about methods, not of a setting; "
            "rename the argument"
        )
    return {p.name: _setting(name, function, p) for p in rest}


def _setting(
    name: str, function: types.FunctionType, parameter: inspect.Parameter
) -> tuple[type, Any]:
    """Type and default of one setting."""
    key, default = parameter.name, parameter.default
    if default is parameter.empty:
        if key == "l2":  # the run's
            return float, NO_DEFAULT
        raise InputError(f"the method {name}: its setting {key} has no default; give it one")
    kind = parameter.annotation
    if isinstance(kind, str):
        try:
            kind = eval(kind, function.__globals__)
        except Exception as error:
            raise InputError(
                f"the method {name}: the type {kind!r} of its setting {key} is unknown; write "
                "float, int, bool, str or an Enum"
            ) from error
    if kind is parameter.empty:
        kind = float if key == "l2" else type(default)
    if not (kind in _KINDS or (isinstance(kind, type) and issubclass(kind, Enum))):
        raise InputError(
            f"the method {name}: its setting {key} has the type {getattr(kind, '__name__', kind)}; "
            "a setting is a float, int, bool, str or an Enum"
        )
    if kind is float and type(default) is int:
        default = float(default)
    if type(default) is not kind:
        raise InputError(
            f"the method {name}: the default {default!r} of its setting {key} is not of "
            f"the type {kind.__name__}; change one of the two"
        )
    return kind, default


def _check_facts(name: str, facts: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """InputError for a fact that has none of the values that it may have."""
    for fact, options in {
        "side": ("teacher", "student"),
        "needs_groups": ("none", "val", "train"),
    }.items():
        if fact in facts and facts[fact] not in options:
            raise unknown_name(f"the method {name}: {fact}", str(facts[fact]), options)
    for key in facts.get("ranges", {}):
        if key not in settings:
            raise unknown_name(f"the method {name}: setting in ranges", key, settings)
    colour = facts.get("colour", "")
    if colour and not re.fullmatch("#[0-9A-Fa-f]{6}", colour):
        raise InputError(f"the method {name}: colour={colour!r} must be such as #0072B2; change it")
