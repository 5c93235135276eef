"""Folders built once: whole or absent, keyed by their recipe, checked before each use."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError

Progress = Callable[[str, int, int], None]
"""Called as progress(step, done, total); the command line turns it into a bar."""

MARKER = "complete.json"
_PARTIAL = ".partial-"
_STALE = 24 * 3600.0  # seconds after which an abandoned partial folder is surely nobody's
_SPACE = (errno.ENOSPC, errno.EDQUOT)
CANNOT_WRITE = (*_SPACE, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


def silent(step: str, done: int, total: int) -> None:
    """The progress of a caller that wants none."""


def key(recipe: Mapping[str, Any]) -> str:
    """16 hex digits that name a recipe: any change of it is another folder."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def built(
    folder: Path,
    recipe: Mapping[str, Any],
    build: Callable[[Path, str], None],
    step: str,
) -> Path:
    """`folder`, made by build(partial folder, step) unless it is already there and whole.

    The folder appears by one rename, so a kill or a full disk at any moment leaves no part of it.
    A folder that lost or changed files since is built again; `step` then says so. Raises
    InputError where the file system refuses.
    """
    state = check(folder)
    if state == "":
        return folder
    if folder.exists():
        step = f"{step} again ({state})"
    with writing(folder.parent, step):
        _sweep(folder.parent)
        with _partial(folder) as partial:
            build(partial, step)
            seal(partial, recipe)
            _install(partial, folder)
    return folder


def refuse_filled(folder: Path, field: str) -> None:
    """InputError unless `folder` is absent or empty."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{field}={folder} is a file; name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{field}={folder} is not empty; name a new folder, or remove that one")


def created(
    folder: Path, recipe: Mapping[str, Any], build: Callable[[Path, str], None], step: str
) -> None:
    """A folder of the user's own, made like one of `built`, but never in the place of another."""
    with writing(folder.parent, step, "folder"), _partial(folder) as partial:
        build(partial, step)
        seal(partial, recipe)
        refuse_filled(folder, "folder")
        partial.chmod(0o777 & ~_umask())  # mkdtemp made it private
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A folder next to `folder` to work in, gone at the end unless it was renamed."""
    partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{folder.name}-", dir=folder.parent))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def writing(parent: Path, step: str, what: str = "cache folder") -> Iterator[None]:
    """Make `parent`, and turn a file system's refusal in the block into an InputError."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        remedy = "free some space or name" if error.errno in _SPACE else "name"
        raise InputError(
            f"{what} {parent} cannot be written while {step}: {error.strerror}; "
            f"{remedy} another {what} (nothing half-made was kept)"
        ) from error


def seal(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Write the marker that states the recipe and the sizes of all files below `folder`."""
    text = json.dumps({"recipe": recipe, "sizes": _digest(_sizes(folder))}, indent=1)
    (folder / MARKER).write_text(text + "\n", encoding="utf-8")


def check(folder: Path) -> str:
    """Why `folder` is not whole, as a phrase; "" if it is. Sizes are compared, contents are not."""
    try:
        stated = recorded(folder)["sizes"]
    except FileNotFoundError:
        return "it was not complete"
    except (OSError, ValueError, KeyError, TypeError):
        return f"its {MARKER} is unreadable"
    return "" if stated == _digest(_sizes(folder)) else "its files were altered"


def recorded(folder: Path) -> dict[str, Any]:
    """The marker of a finished folder; its "recipe" entry is what the folder was made from."""
    marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    if not isinstance(marker, dict):
        raise ValueError(f"{folder / MARKER} holds no recipe")
    return marker


def _sizes(folder: Path) -> Iterable[tuple[str, int]]:
    """(relative path, bytes) of each file below `folder` but the marker, without decoding any."""
    pending = [("", folder)]
    while pending:
        prefix, directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append((f"{name}/", Path(entry.path)))
                elif name != MARKER:
                    yield name, entry.stat(follow_symlinks=False).st_size


def _digest(sizes: Iterable[tuple[str, int]]) -> dict[str, Any]:
    lines = sorted(f"{size} {name}\n" for name, size in sizes)
    return {"files": len(lines), "sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}


def _install(partial: Path, folder: Path) -> None:
    """Rename `partial` to `folder`; whatever stands there and is not whole goes."""
    if folder.exists() and check(folder) == "":
        return  # another process finished the same recipe first
    if folder.exists():
        doomed = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder.parent))
        folder.replace(doomed / folder.name)
        shutil.rmtree(doomed, ignore_errors=True)
    partial.chmod(0o777 & ~_umask())  # mkdtemp made it private
    try:
        partial.replace(folder)
    except OSError:
        if check(folder) != "":
            raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sweep(parent: Path) -> None:
    """Remove what killed builds left behind."""
    for path in parent.glob(f"{_PARTIAL}*"):
        try:
            abandoned = time.time() - path.stat().st_mtime > _STALE
        except FileNotFoundError:
            continue  # its owner was quicker
        if abandoned:
            shutil.rmtree(path, ignore_errors=True)
