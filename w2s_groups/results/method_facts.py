"""Facts about methods that figures, tables and prose share: the one place that knows them.

Tables may name methods that are not registered here; they are shown as they are called. Within a
report, a plug-in is what the report's settings say of it, so that the report is the same on a
machine that lacks the plug-in, or has another version.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields
from typing import Any, ParamSpec, TypeVar

from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Method

P = ParamSpec("P")
R = TypeVar("R")
PLUGINS = "plugins"  # the entry of a report's settings


@dataclass(frozen=True)
class Facts:
    """What is shown of a method, as methods.base.Method has it. origin: of a plug-in."""

    summary: str = ""
    sources: tuple[str, ...] = ()
    side: str = "student"
    needs_groups: str = "none"
    needs_truth: bool = False
    reference: bool = False
    tunes: str = ""
    paper_tunes: str = ""
    colour: str = ""
    origin: str = ""


_OF_CLASS = [f.name for f in fields(Facts) if f.name != "origin"]
_of_report: ContextVar[Mapping[str, Facts] | None] = ContextVar("plugins", default=None)


def facts(name: str) -> Facts | None:
    """Facts about a method; None where nothing is known of it.

    Within a report: of this package's methods and of the plug-ins that its settings describe;
    elsewhere of all methods that can be loaded.
    """
    told = _of_report.get()
    if told is not None and name in told:
        return told[name]
    known = METHODS.built_in if told is not None else METHODS
    return of_class(known[name]) if name in known else None


def of_class(kind: type[Method], origin: str = "") -> Facts:
    """Facts of a method's class."""
    return Facts(**{name: getattr(kind, name) for name in _OF_CLASS}, origin=origin)


def of_plugins(methods: Mapping[str, Method]) -> dict[str, dict[str, Any]]:
    """What a report's settings say of its plug-ins: their facts that are not the usual, by name."""
    usual = asdict(Facts())
    told = {}
    for name, method in methods.items():
        if method.code:
            own = asdict(of_class(type(method), METHODS.origin(name).shown))
            own = {key: list(v) if isinstance(v, tuple) else v for key, v in own.items()
                   if v != usual[key]}  # fmt: skip
            told[name] = {**own, "code": method.code[:16]}
    return told


def with_plugins(function: Callable[P, R]) -> Callable[P, R]:
    """A function of a report, which reads the plug-ins of its argument `settings`."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        settings = signature.bind(*args, **kwargs).arguments["settings"]
        token = _of_report.set(_read(settings.get(PLUGINS) or {}))
        try:
            return function(*args, **kwargs)
        finally:
            _of_report.reset(token)

    return wrapped


def _read(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Facts]:
    """The plug-ins of a report's settings; entries of other versions of this code are left out."""
    known = {f.name for f in fields(Facts)}
    read = {}
    for name, own in told.items():
        values: dict[str, Any] = {key: value for key, value in own.items() if key in known}
        read[name] = Facts(**{**values, "sources": tuple(values.get("sources", ()))})
    return read


class _References(Collection[str]):
    """The methods that are there to be compared with; iterated: those of this package."""

    def __contains__(self, name: object) -> bool:
        own = facts(str(name))
        return own is not None and own.reference

    def __iter__(self) -> Iterator[str]:
        return (name for name, kind in METHODS.built_in.items() if kind.reference)

    def __len__(self) -> int:
        return len(list(iter(self)))


REFERENCES = _References()

# The methods that small tables and figures show where there is no room for all of them.
MAIN = ("teacher", "w2s", "selective", "baseline", "ceiling")
DRAWN_FIRST = ("w2s", "w2s_tuned", "selective", "adaptive_confidence", "combined", "ceiling")

_FIRST = ("teacher", "tuned_teacher", "w2s", "w2s_tuned", "selective")
_LAST = ("zero_shot", "baseline", "dfr", "group_dro", "ceiling")


def colour_of(name: str) -> str:
    """A method's colour; "" where it has none of its own.

    Those of this package are of Okabe and Ito's palette, whose colours differ under the common
    colour-vision deficiencies.
    """
    own = facts(name)
    return "" if own is None else own.colour


def method_order(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct method names: the teacher, then students, then the references."""
    distinct = set(names)
    others = sorted(distinct - {*_FIRST, *_LAST})
    return tuple(name for name in (*_FIRST, *others, *_LAST) if name in distinct)


def group_labels(name: str) -> str | None:
    """Group labels that a method uses: "none", "val" or "train"; None if it is not registered."""
    own = facts(name)
    return None if own is None else own.needs_groups


def method_label(name: str) -> str:
    """Name of a method in figures, tables and prose."""
    return "W2S" if name == "w2s" else name
