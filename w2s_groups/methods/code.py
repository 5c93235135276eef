"""Hash of a plug-in's source: part of the key of its cells, so that changed code is run again.

Of a method in a file, the bytes of that file. Of one in a package, every Python file of the
package. Of one in a notebook or in the script that runs, its own source and that of all that it
refers to there: functions, classes and values, and what those refer to; a module of the user's that
is not installed counts by its files. Installed libraries count by their name only. A value of
another kind counts by its pickle, or by its type where it has none.
"""

from __future__ import annotations

import builtins
import hashlib
import inspect
import pickle
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from w2s_groups.core import python_file
from w2s_groups.core.files import content_hash

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_OURS = __name__.partition(".")[0]


def of(kind: type) -> str:
    """Hash of the source of a method's class, as 64 hexadecimal digits."""
    function = kind.__dict__.get("function")
    given = function.__func__ if isinstance(function, staticmethod) else kind
    if given.__module__ == "__main__":
        return _of_session(given)
    path = python_file.path_of(given.__module__)
    return of_package(given.__module__) if path is None else content_hash(path)


def of_package(name: str) -> str:
    """Hash of every Python file of the package that a module belongs to, with their places."""
    module = sys.modules[_top(name)]
    if not hasattr(module, "__path__"):
        file = getattr(module, "__file__", None)
        return content_hash(Path(file)) if file else hashlib.sha256(name.encode()).hexdigest()
    digest = hashlib.sha256()
    for folder in map(Path, module.__path__):
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder).as_posix()}\0{content_hash(path)}\0".encode())
    return digest.hexdigest()


def _top(name: str) -> str:
    """The outermost package of a module that is one package: of a namespace, the part in it."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        package = sys.modules.get(".".join(parts[:end]))
        if package is not None and getattr(package, "__file__", None):
            return ".".join(parts[:end])
    return name


def _of_session(given: Any) -> str:
    digest = hashlib.sha256()
    for part in _parts(given, {}):
        digest.update(f"{len(part)}\0{part}\0".encode())
    return digest.hexdigest()


def _parts(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    """What sets a value apart, in an order that is the same in every process."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
        return
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, so that no other value gets its id
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        yield f"{type(value).__name__} {len(value)}"
        items = list(value.items()) if isinstance(value, Mapping) else list(value)
        for item in items if isinstance(value, list | tuple) else sorted(items, key=repr):
            yield from _parts(item, seen)
    elif isinstance(value, ModuleType):
        yield _module(value.__name__)
    elif isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, type):
        yield from _class(value, seen)
    else:
        yield _pickled(value)


def _module(name: str) -> str:
    """A module's name; with its files' hash where it is the user's own and not installed."""
    module = sys.modules.get(name.partition(".")[0])
    file = getattr(module, "__file__", None)
    if module is None or file is None or name.partition(".")[0] == _OURS:
        return name
    installed = (sysconfig.get_path(place) for place in ("stdlib", "purelib", "platlib"))
    if any(Path(file).is_relative_to(place) for place in installed):
        return name
    return f"{name} {of_package(name)}"


def _function(function: FunctionType, seen: dict[int, Any]) -> Iterator[str]:
    if function.__module__ != "__main__":
        yield f"{_module(function.__module__)} {function.__qualname__}"
        return
    yield _source(function) or _byte_code(function.__code__)
    yield from _parts([function.__defaults__, function.__kwdefaults__], seen)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name
        yield from _parts(cell.cell_contents, seen)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__ and not hasattr(builtins, name):
            yield name
            yield from _parts(function.__globals__[name], seen)


def _class(kind: type, seen: dict[int, Any]) -> Iterator[str]:
    if kind.__module__ != "__main__":
        yield f"{_module(kind.__module__)} {kind.__qualname__}"
        return
    yield _source(kind) or kind.__qualname__
    for base in kind.__bases__:
        yield from _parts(base, seen)
    for name, member in sorted(vars(kind).items()):
        inner = getattr(member, "__func__", getattr(member, "fget", member))
        if isinstance(inner, FunctionType) and inner.__qualname__.startswith(kind.__qualname__):
            yield name
            yield from _function(inner, seen)


def _source(value: Any) -> str:
    """Its text; "" where it was typed in without being kept."""
    try:
        return textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError):
        return ""


def _names(code: CodeType) -> set[str]:
    """Every global name and attribute that a function and those inside it ask for."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _byte_code(code: CodeType) -> str:
    consts = [_byte_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def _pickled(value: Any) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        return f"{name} {hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()}"
    except Exception:  # of any kind, from the value's own code
        return name
