"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from w2s_groups.core.errors import InputError

# Without waiting for a writer, which a FIFO may never get. Windows: bytes as they are.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_LONGEST_NAME = 255  # bytes of one name, on the file systems of Linux, macOS and Windows


def shipped(installed: str, checkout: str) -> Path:
    """A folder that comes with the code: in an installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / installed
    return inside if inside.is_dir() else package.parent / checkout


def check_path(field: str, text: str) -> Path:
    """The path of a text; InputError for what no path can be.

    That is an empty one, one with a null character, and a name longer than file systems take.
    """
    parts = [part.encode("utf-8", "surrogatepass") for part in text.split("/")]
    if not text.strip() or "\0" in text or max(map(len, parts)) > _LONGEST_NAME:
        raise InputError(
            f"{field}={text[:100]!r} cannot be a path: each name in it has at most "
            f"{_LONGEST_NAME} bytes and no null character; change it"
        )
    return Path(text)


def user_path(field: str, text: str) -> Path:
    """The path that a user wrote, with ~ for a home folder; InputError for what cannot be one."""
    try:
        return check_path(field, text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{field}={text}: {error}; write the path in full") from error


@dataclass
class NewFile:
    """A file that is being written, and the path that it gets once it is whole."""

    file: IO[bytes]
    path: Path


@contextmanager
def whole(path: Path) -> Iterator[NewFile]:
    """A file to write to: a reader, or a kill at any moment, sees the old file or the new one.

    The body may change the path within its folder, to a name that follows from the content. Raises
    InputError that names the file when the disk is full or the folder can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
        )
        try:
            with os.fdopen(handle, "wb") as file:
                new = NewFile(file, path)
                yield new
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)  # mkstemp's files are private
            Path(temporary).replace(new.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(path, error) from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to a `whole` file."""
    with whole(path) as new:
        new.file.write(data)


def unwritable(path: Path, error: OSError) -> InputError:
    """The sentence for a file that can't be written."""
    if error.errno == errno.ENOSPC:
        return InputError(f"{path} can't be written: the disk is full; free some space, run again")
    return InputError(
        f"{path} can't be written ({error.strerror}); make its folder writable or name another"
    )


def check_writable(folder: Path, field: str) -> None:
    """InputError now, rather than after an hour's work, if `folder` can't take files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{field}={folder} can't be written to ({error.strerror}); name a writable folder"
        ) from error


def read_file(path: Path) -> bytes:
    """The content of a file. Raises FileNotFoundError where there is nothing.

    InputError for what is not a file, such as a folder or a FIFO, which is not waited for, and
    where the system refuses: that proves nothing of the content.
    """
    try:
        with os.fdopen(os.open(path, _READ), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise not_a_file(path)
            return file.readall()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise not_a_file(path) if path.is_dir() else unreadable(path, error) from error


def read_json(path: Path) -> Any:
    """What a JSON file holds. ValueError where it is no JSON; else as `read_file`."""
    return parsed(read_file(path))


def parsed(text: str | bytes) -> Any:
    """What a JSON text holds; ValueError where it is no JSON, or nested more deeply than any."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def listed(folder: Path) -> list[str]:
    """Names of what a folder holds, sorted; none where the folder is missing.

    InputError where the system does not let us look: the folder may hold much.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def not_a_file(path: Path) -> InputError:
    """The sentence for a folder, a FIFO or a device in the place of a file."""
    what = "a folder" if path.is_dir() else "a FIFO or a device"
    return InputError(f"{path} is {what} where a file has to be; move it away")


def unreadable(path: Path, error: OSError) -> InputError:
    """The sentence for a file that the system does not let us read."""
    return InputError(
        f"{path} cannot be read ({error.strerror or error}); make it readable, or try again"
    )


def content_hash(path: Path) -> str:
    """sha256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
