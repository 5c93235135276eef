"""A method in a file of the user's: method/FILE.py:NAME."""

from __future__ import annotations

from pathlib import Path

from w2s_groups.core import python_file
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import content_hash
from w2s_groups.core.plugins import Origin
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Method
from w2s_groups.methods.plugins import as_method

PREFIX = "method/"


def load(spec: str) -> str:
    """Register the method of `method/FILE.py:NAME`; the name that it is known by.

    NAME is what @method made of a function, or a Method subclass. A file is run again only where
    its bytes have changed. Raises InputError where the file or NAME is missing, or fails.
    """
    text, _, attribute = spec.removeprefix(PREFIX).rpartition(":")
    path = Path(text)
    if not text or not attribute or path.suffix != ".py":
        raise InputError(
            f"{spec} must name a file and a method in it, method/FILE.py:NAME, such as "
            "method/sharpened.py:sharpened"
        )
    if not path.is_file():
        raise InputError(f"{spec} names a file that is missing: {path.absolute()}")
    given = _contents(spec, path.absolute())
    own = {key: value for key, value in given.items() if not key.startswith("_")}
    if attribute not in own:
        methods = [key for key, value in own.items() if _is_method(value)]
        raise unknown_name(f"method of {path}", attribute, methods or own)
    try:
        name, kind = as_method(own[attribute])
    except InputError as error:
        raise InputError(f"{spec}: {error}") from error
    METHODS.register(name, kind, Origin(str(path.absolute()), path.name))
    return name


_run: dict[Path, tuple[str, dict[str, object]]] = {}  # file -> hash of its bytes, what it defines


def _contents(spec: str, path: Path) -> dict[str, object]:
    """What a file defines, at its present bytes."""
    digest = content_hash(path)
    if _run.get(path, ("",))[0] != digest:
        try:
            module = python_file.run(path)
        except Exception as error:  # it is the user's code
            raise InputError(
                f"{spec} can't be loaded: {python_file.reason(path, error)}; correct the file"
            ) from error
        _run[path] = digest, vars(module)
    return _run[path][1]


def _is_method(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Method)
        and value.__module__.startswith(python_file.__name__)
    )
