"""Tables of what has a name: built in, of installed packages, of the running process.

Packages offer plug-ins as entry points. Their names are read from the packages' metadata, and a
plug-in is imported when it is asked for, not before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from w2s_groups.core.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
BUILT_IN = "w2s_groups itself"


@dataclass(frozen=True)
class Origin:
    """Where a plug-in comes from.

    source: for sentences, with the path of a file. shown: for reports, the same on every machine.
    package, version: "" where it is in none.
    """

    source: str
    shown: str
    package: str = ""
    version: str = ""


class Registry(Mapping[str, T], Generic[T]):
    """Name -> entry: built-in ones first, then those of packages, then those of this process.

    noun: such as "method". group: of entry points. adopt: called with a name, what its entry point
    loads and where that comes from; gives the entry, or raises InputError.
    """

    def __init__(
        self,
        noun: str,
        group: str,
        built_in: Mapping[str, T],
        adopt: Callable[[str, Any, Origin], T],
    ) -> None:
        self.noun, self.group, self.built_in, self._adopt = noun, group, built_in, adopt
        self._loaded: dict[str, T] = {}
        self._registered: dict[str, tuple[T, Origin]] = {}

    def __getitem__(self, name: str) -> T:
        """Raises KeyError for an unknown name, InputError for a plug-in that cannot be used."""
        points = offered(self.group).get(name, ())
        if not points:
            if name in self._registered:
                return self._registered[name][0]
            return self.built_in[name]
        if name in self.built_in:
            raise self._clash(name, [BUILT_IN, *(_said(point) for point in points)])
        if len(points) > 1:
            raise self._clash(name, [_said(point) for point in points])
        if name not in self._loaded:
            self._loaded[name] = self._load(name, points[0])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self.built_in, *offered(self.group), *self._registered])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        """Whether the name is known; nothing is imported."""
        return name in self.built_in or name in self._registered or name in offered(self.group)

    def plugins(self) -> dict[str, str]:
        """Name -> where it comes from, of all that is not built in; nothing is imported."""
        installed = {
            name: " and ".join(map(_said, points)) for name, points in offered(self.group).items()
        }
        return installed | {name: origin.source for name, (_, origin) in self._registered.items()}

    def origin(self, name: str) -> Origin:
        """Where a plug-in that was loaded comes from."""
        if name in self._registered:
            return self._registered[name][1]
        return _origin(offered(self.group)[name][0])

    def origin_of(self, entry: Any) -> Origin | None:
        """Where an entry comes from; None of a built-in one, and of what is not here."""
        for name, loaded in [*self._loaded.items(), *self._registered.items()]:
            if (loaded[0] if isinstance(loaded, tuple) else loaded) is entry:
                return self.origin(name)
        return None

    def register(self, name: str, entry: T, origin: Origin) -> None:
        """Make an entry known to this process.

        One of the same source takes the place of an older one: a cell of a notebook that is run
        again. Raises InputError where the name is taken by another source.
        """
        if self.built_in.get(name) is entry:
            return
        if name in self.built_in:
            raise self._clash(name, [BUILT_IN, origin.source])
        if points := offered(self.group).get(name):
            with suppress(
                InputError
            ):  # a package that cannot be imported has the name all the same
                if self[name] is entry:
                    return
            raise self._clash(name, [*(_said(point) for point in points), origin.source])
        if name in self._registered and self._registered[name][1].source != origin.source:
            raise self._clash(name, [self._registered[name][1].source, origin.source])
        self._registered[name] = entry, origin

    def _load(self, name: str, point: EntryPoint) -> T:
        dist = point.dist
        assert dist is not None  # of entry points that were read from metadata
        try:
            loaded = point.load()
        except Exception as error:  # it is the package's code
            text = " ".join(str(error).split())[:300]
            raise InputError(
                f"the {self.noun} {name} of {_said(point)} cannot be imported from {point.value} "
                f"({type(error).__name__}: {text}); repair or uninstall {dist.name}"
            ) from error
        return self._adopt(name, loaded, _origin(point))

    def _clash(self, name: str, sources: list[str]) -> InputError:
        return InputError(
            f"two {self.noun}s are called {name}: one of {' and one of '.join(sources)}; rename or "
            "uninstall the one that you can change"
        )


SESSION = Origin("this notebook or script", "notebook or script")


@functools.cache
def offered(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Name -> the entry points of that name, of one group, of all installed packages."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    points = _points().select(group=group)
    for point in sorted(points, key=lambda point: (point.name, package(point))):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


@functools.cache
def _points() -> Any:
    """The entry points of all packages: their metadata, read once."""
    from importlib.metadata import entry_points  # half of the time of a help page

    return entry_points()


def forget() -> None:
    """Read the metadata again: packages were installed meanwhile."""
    offered.cache_clear()
    _points.cache_clear()


def of_package(name: str, version: str) -> Origin:
    """Origin of what a package offers."""
    return Origin(f"the package {name} {version}", f"package {name} {version}", name, version)


def _origin(point: EntryPoint) -> Origin:
    assert point.dist is not None  # of entry points that were read from metadata
    return of_package(point.dist.name, point.dist.version)


def package(point: EntryPoint) -> str:
    """Name and version of the package that offers an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"


def _said(point: EntryPoint) -> str:
    return f"the package {package(point)}"
