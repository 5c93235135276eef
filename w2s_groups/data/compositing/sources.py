"""Pictures to compose from: class or attribute value -> identity -> its pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash
from w2s_groups.core.machine import cores
from w2s_groups.data.compositing.masks import Instance

_Item = TypeVar("_Item")
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")

Sources = Mapping[str, Mapping[str, Sequence[Path]]]
"""Class (or attribute value) -> identity -> its pictures. An identity is never split."""
Cutouts = Mapping[str, Mapping[str, Sequence[Path | Instance]]]
"""The same for cut-outs: pictures with transparency, or masked objects in photographs."""


def sources_in(
    folders: Iterable[tuple[str, Path]], key: str, each: bool = False
) -> dict[str, dict[str, list[Path]]]:
    """Sources from (class or attribute value, folder) pairs; several folders of one name add up.

    each: as in `pictures_in`. Raises InputError for a folder that is missing or holds no picture;
    key: how its message begins, up to the name, such as "data.cutouts.".
    """
    sources: dict[str, dict[str, list[Path]]] = {}
    n_folders: Counter[str] = Counter()
    for name, folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"{key}{name}={folder} is not a directory; name the folder with its pictures"
            )
        identities = pictures_in(folder, each)
        if not identities:
            raise InputError(
                f"{key}{name}={folder} holds no picture ({', '.join(SUFFIXES)}); "
                "name a folder with some"
            )
        n_folders[name] += 1
        # A second folder's 001.png is another thing than the first one's.
        prefix = f"{folder.name}-{n_folders[name]}/" if n_folders[name] > 1 else ""
        sources.setdefault(name, {}).update(
            {f"{prefix}{identity}": paths for identity, paths in identities.items()}
        )
    return sources


def pictures_in(folder: Path, each: bool) -> dict[str, list[Path]]:
    """Identity -> pictures anywhere below `folder`.

    A sub-folder is one identity, and so is a lone picture; if `each`, every picture is one of its
    own, named by its path (a photograph in two formats is one).
    """
    identities: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            inside = path.relative_to(folder)
            whole = each or len(inside.parts) == 1
            identity = inside.with_suffix("").as_posix() if whole else inside.parts[0]
            identities.setdefault(identity, []).append(path)
    return identities


def walk(
    sources: Mapping[str, Mapping[str, Sequence[_Item]]],
) -> Iterator[tuple[str, str, _Item]]:
    """(class, identity, picture) of all pictures."""
    for name, identities in sources.items():
        for identity, pictures in identities.items():
            for picture in pictures:
                yield name, identity, picture


def n_pictures(
    sources: Mapping[str, Mapping[str, Sequence[object]]],
) -> dict[str, dict[str, int]]:
    """Class (attribute value) -> identity -> number of its pictures: all that a layout needs."""
    return {
        name: {identity: len(pictures) for identity, pictures in identities.items()}
        for name, identities in sources.items()
    }


def file_of(picture: Path | Instance) -> Path:
    """The file that a picture is read from."""
    return picture.path if isinstance(picture, Instance) else picture


def content_of(paths: Sequence[Path]) -> dict[Path, str]:
    """sha256 of each file, read side by side."""
    with ThreadPoolExecutor(cores()) as pool:
        return dict(zip(paths, pool.map(content_hash, paths), strict=True))


def same_content(paths: Sequence[Path]) -> dict[Path, str]:
    """A text per file, equal exactly where contents are; only files of one size are read."""
    sizes = {path: path.stat().st_size for path in dict.fromkeys(paths)}
    of_size = Counter(sizes.values())
    hashes = content_of([path for path, size in sizes.items() if of_size[size] > 1])
    return {path: hashes.get(path, f"{size} bytes") for path, size in sizes.items()}


def refuse_shared(sources: Cutouts | Sources, content: Mapping[Path, str]) -> None:
    """InputError for one picture under two identities, which could cross the split."""
    owner: dict[str, tuple[str, str, Path]] = {}
    for name, identity, picture in walk(sources):
        path = file_of(picture)
        other = owner.setdefault(content[path], (name, identity, path))
        if other[:2] != (name, identity):
            raise InputError(
                f"{path} and {other[2]} are the same picture under two identities; remove one"
            )
