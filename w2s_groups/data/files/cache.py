"""Folders built once: whole or absent, keyed by their recipe, checked before each use."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash, parsed, write_atomic

Progress = Callable[[str, int, int], None]
"""Called as progress(step, done, total); the command line turns it into a bar."""

MARKER = "complete.json"
_PARTIAL = ".partial-"
# Hashed only where one is newer than the marker: there may be a million of them. All else is hashed
# before each use, tables first of all.
_PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_STALE = 24 * 3600.0  # seconds after which an abandoned partial folder is surely nobody's
_SPACE = (errno.ENOSPC, errno.EDQUOT)
log = logging.getLogger(__name__)
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
    A folder that lost or changed files since is built again; a warning and `step` then say so.
    Raises InputError where the file system refuses.
    """
    state = check(folder)
    if state == "":
        _record_content(folder)
        return folder
    if folder.exists():
        log.warning("%s is not used and made again: %s", folder, state)
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
    """Write the marker: the recipe, and digests of all files below `folder`."""
    (folder / MARKER).write_bytes(_marker(recipe, _files(folder)))


def _marker(recipe: Mapping[str, Any], files: list[_File]) -> bytes:
    pictures, others = _divided(files)
    stated = {
        "recipe": recipe,
        "sizes": _sizes(files),
        "others": _content(others),
        "pictures": _content(pictures),
    }
    return (json.dumps(stated, indent=1) + "\n").encode()


def check(folder: Path) -> str:
    """Why `folder` is not whole, as a phrase; "" if it is.

    Sizes of all files are compared, and the content of all but pictures; that of pictures where one
    of them is newer than the marker. A folder of an older version states sizes only.
    """
    try:
        stated = recorded(folder)
        sizes = stated["sizes"]
        others, content = stated.get("others"), stated.get("pictures")
        written = (folder / MARKER).stat().st_mtime_ns
    except FileNotFoundError:
        return "it was not complete"
    except (OSError, ValueError, KeyError, TypeError):
        return f"its {MARKER} is unreadable"
    files = _files(folder)
    if sizes != _sizes(files):
        return "its files were altered"
    pictures, tables = _divided(files)
    if others is not None and others != _content(tables):
        return "the content of its tables was altered"
    if content is not None and any(picture.time > written for picture in pictures):
        if content != _content(pictures):
            return "the content of its pictures was altered"
        with contextlib.suppress(OSError):  # known to be whole: the next check need not read them
            os.utime(folder / MARKER)
    return ""


def _record_content(folder: Path) -> None:
    """Of a whole folder of an older version: state the content from now on, if it can be kept."""
    stated = recorded(folder)
    if "others" not in stated:
        with contextlib.suppress(InputError):
            write_atomic(folder / MARKER, _marker(stated["recipe"], _files(folder)))


def recorded(folder: Path) -> dict[str, Any]:
    """The marker of a finished folder; its "recipe" entry is what the folder was made from."""
    marker = parsed((folder / MARKER).read_text(encoding="utf-8"))
    if not isinstance(marker, dict):
        raise ValueError(f"{folder / MARKER} holds no recipe")
    return marker


class _File(NamedTuple):
    """A file below a folder. name: its relative path; size: -1 of what is neither file nor link;
    time: of its last change, in ns.
    """

    name: str
    path: Path
    size: int
    time: int


def _files(folder: Path) -> list[_File]:
    """The files below `folder` but the marker, by name; none is opened."""
    found, pending = [], [("", folder)]
    while pending:
        prefix, directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append((f"{name}/", Path(entry.path)))
                elif name != MARKER:
                    stat = entry.stat(follow_symlinks=False)
                    regular = entry.is_file(follow_symlinks=False) or entry.is_symlink()
                    size = stat.st_size if regular else -1  # a pipe would keep a reader waiting
                    found.append(_File(name, Path(entry.path), size, stat.st_mtime_ns))
    return sorted(found)


def _divided(files: list[_File]) -> tuple[list[_File], list[_File]]:
    """Pictures, and all else."""
    pictures = [file for file in files if file.path.suffix.lower() in _PICTURES]
    return pictures, [file for file in files if file.path.suffix.lower() not in _PICTURES]


def _sizes(files: list[_File]) -> dict[str, Any]:
    lines = sorted(f"{file.size} {file.name}\n" for file in files)
    return {"files": len(lines), "sha256": _digest(lines)}


def _content(files: list[_File]) -> str:
    return _digest([f"{_hash(file.path)} {file.name}\n" for file in files])


def _hash(path: Path) -> str:
    """Of a file's content; of a link's own. InputError for an error of the disk."""
    try:
        return f"-> {path.readlink()}" if path.is_symlink() else content_hash(path)
    except OSError as error:  # which proves nothing of the content
        raise InputError(f"{path} cannot be read ({error.strerror}); try again") from error


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


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
