"""The table of methods: built in, of installed packages, and those that a session brings."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import packages_distributions, version
from typing import Any

from w2s_groups.core import python_file
from w2s_groups.core.errors import InputError
from w2s_groups.core.plugins import SESSION, Origin, Registry, of_package
from w2s_groups.methods import code
from w2s_groups.methods.base import Method
from w2s_groups.methods.plugins import as_method, checked_name

GROUP = "w2s_groups.methods"


class Methods(Registry[type[Method]]):
    """Name -> class. See core.plugins.Registry for which name stands for what."""

    def __init__(self, built_in: Mapping[str, type[Method]]) -> None:
        super().__init__("method", GROUP, built_in, _adopted)

    def add(self, given: Any) -> str:
        """Register a decorated function or a Method subclass; its name.

        Raises InputError for what is not a method, or a name that another source has.
        """
        name, kind = as_method(given)
        self.register(name, kind)
        return name

    def register(self, name: str, entry: type[Method], origin: Origin | None = None) -> None:
        """Make a method known to this process by a name; origin: by default, its module's."""
        own = next((known for known, kind in self.built_in.items() if kind is entry), name)
        if own != name:
            raise InputError(
                f"{entry.__name__} is built in as {own} and cannot be called {name} too; "
                f"name {own}, or use vary for another setting"
            )
        origin = origin or origin_of(entry)
        super().register(checked_name(name), entry, origin)
        if name not in self.built_in:
            mark(entry, origin)


def origin_of(kind: type[Method]) -> Origin:
    """Where a class that was handed over comes from."""
    name = kind.__module__
    if name == "__main__":
        return SESSION
    path = python_file.path_of(name)
    if path is not None:
        return Origin(str(path), path.name)
    packages = packages_distributions().get(name.partition(".")[0], [])
    if not packages:
        return Origin(f"the module {name}", f"module {name}")
    return of_package(packages[0], version(packages[0]))


def _adopted(name: str, loaded: Any, origin: Origin) -> type[Method]:
    """The class of an entry point."""
    try:
        own, kind = as_method(loaded)
    except InputError as error:
        raise InputError(f"{origin.source}: {error}") from error
    if own != name:
        raise InputError(
            f"{origin.source} offers {kind.__name__} as the method {name}, and it is called {own}; "
            "give both one name"
        )
    mark(kind, origin)
    return kind


def mark(kind: type[Method], origin: Origin) -> None:
    """Note on the class where it comes from."""
    kind.version = origin.version
    kind.code = code.of(kind)
