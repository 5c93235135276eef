"""Matrices on disk that are either whole and verified or not there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, content_hash, whole, write_atomic

log = logging.getLogger(__name__)
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError)
STALE = 24 * 3600  # seconds after which a temporary file belongs to no running process


@dataclass(frozen=True)
class Sidecar:
    """What a matrix was made from. images: N content hashes, in the order of the rows.

    bad: row (as text, JSON's keys are) -> why its image couldn't be read; such rows are NaN.
    payload: the matrix's file, named by its own sha256. made_with: versions, for the reader only.
    """

    payload: str
    sha256: str
    images: list[str]
    bad: dict[str, str]
    made_with: dict[str, str]


def read(folder: Path, key: str) -> tuple[NDArray[np.float32], Sidecar] | None:
    """The memory-mapped matrix stored under `key`, or None.

    Every byte is checked against the sidecar, and the sidecar against its own hash: files that
    are cut short or altered are taken away, with one line in the log, and count as absent. Only
    the two files of `key` are ever opened or taken away, and no link is followed. Raises InputError
    for an error of the disk, which proves nothing of the files: they stay.
    """
    path = folder / f"{key}.json"
    own = [path]
    try:
        sidecar = _sidecar(path, key)
        own.append(folder / sidecar.payload)
        return _matrix(folder / sidecar.payload, sidecar), sidecar
    except NotADirectoryError:  # said when something is written there
        return None
    except FileNotFoundError as error:
        if error.filename == str(path):
            return None
        reason = "its matrix is missing"
    except OSError as error:
        raise InputError(
            f"cached features {error.filename or path} cannot be read ({error.strerror}); they "
            "were left as they are: try again, or remove them to have them built again"
        ) from error
    except DAMAGED as error:
        reason = str(error)
    log.warning("cached features %s are not used and built again: %s", path, reason)
    for broken in own:
        with contextlib.suppress(OSError):  # a read-only cache: the new files will say so
            broken.unlink(missing_ok=True)
    return None


def _sidecar(path: Path, key: str) -> Sidecar:
    refuse_odd(path)
    stored = json.loads(path.read_bytes())
    if stored["sha256"] != _hash(_json(stored["sidecar"])):
        raise ValueError("the sidecar was altered")
    sidecar = Sidecar(**stored["sidecar"])
    if sidecar.payload != _payload(key, sidecar.sha256):
        raise ValueError("its sidecar names a file that is not its own")
    bad = [int(row) for row in sidecar.bad]
    if not isinstance(sidecar.images, list) or not set(bad) <= set(range(len(sidecar.images))):
        raise ValueError("its sidecar does not list the rows")
    return sidecar


def _matrix(payload: Path, sidecar: Sidecar) -> NDArray[np.float32]:
    refuse_odd(payload)
    if content_hash(payload) != sidecar.sha256:
        raise ValueError("the matrix was cut short or altered")
    matrix: NDArray[np.float32] = np.load(payload, mmap_mode="r", allow_pickle=False)
    if matrix.ndim != 2 or len(matrix) != len(sidecar.images) or matrix.dtype != np.float32:
        raise ValueError("the matrix is not one of features of these rows")
    return matrix


def images(path: Path) -> list[str]:
    """Content hashes of the rows of the matrix with that sidecar; none where it is damaged."""
    try:
        return _sidecar(path, path.stem).images
    except DAMAGED:
        return []


def refuse_odd(path: Path) -> None:
    """ValueError for a link, which may lead out of the folder, and for what is not a file."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path.name} is a link, a folder or a pipe")


def _payload(key: str, sha256: str) -> str:
    return f"{key}-{sha256[:16]}.npy"


def write(
    folder: Path,
    key: str,
    matrix: NDArray[np.float32],
    images: list[str],
    bad: dict[int, str],
    made_with: dict[str, str],
) -> None:
    """Store `matrix` under `key`. The payload is whole on disk before the sidecar names it.

    Two processes may write the same key: each payload has a name of its own, the last sidecar wins.
    """
    write_parts(folder, key, len(matrix), [matrix], images, bad, made_with)


def write_parts(
    folder: Path,
    key: str,
    rows: int,
    parts: Iterable[NDArray[np.float32]],
    images: list[str],
    bad: Mapping[int, str],
    made_with: dict[str, str],
) -> None:
    """As `write`, of a matrix that comes in parts (R, d), which memory holds one at a time.

    bad is read after the last part. All is on disk, under a name that nothing reads, before the
    payload gets its own.
    """
    digest = hashlib.sha256()
    with whole(folder / f"{key}.npy") as new:
        for part in parts:
            own: list[bytes | memoryview] = [np.ascontiguousarray(part).data]
            for data in own if new.file.tell() else [_header(rows, part.shape[1]), *own]:
                new.file.write(data)
                digest.update(data)
        new.path = folder / _payload(key, digest.hexdigest())
    named = {str(row): why for row, why in bad.items()}
    sidecar = _json(asdict(Sidecar(new.path.name, digest.hexdigest(), images, named, made_with)))
    text = b'{"sha256": "%s", "sidecar": %s}' % (_hash(sidecar).encode(), sidecar)
    write_atomic(folder / f"{key}.json", text)


def _header(rows: int, width: int) -> bytes:
    """The beginning of a .npy file of a matrix (rows, width)."""
    buffer = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(buffer, shape)
    return buffer.getvalue()


def discard(folder: Path, key: str, sidecar: Sidecar) -> None:
    """Take away the two files of a matrix that `read` has given."""
    for path in (folder / f"{key}.json", folder / sidecar.payload):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def prepare(folder: Path, need: int) -> None:
    """InputError now, rather than after the work, if `need` bytes can't be stored in `folder`."""
    check_writable(folder, "cache_dir")
    free = shutil.disk_usage(folder).free
    if free < need:
        raise InputError(
            f"cache_dir={folder} has {free / 1e6:.0f} MB free and the features take "
            f"{need / 1e6:.0f} MB; free some space or name another folder"
        )
    for left_over in folder.rglob(".*.tmp"):  # by a process that was killed
        if left_over.stat().st_mtime < time.time() - STALE:
            left_over.unlink(missing_ok=True)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
