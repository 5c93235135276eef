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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, content_hash, write_atomic

log = logging.getLogger(__name__)
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
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError) as error:
        reason = str(error)
    log.warning("cached features %s are not used and built again: %s", path, reason)
    for broken in own:
        with contextlib.suppress(OSError):  # a read-only cache: the new files will say so
            broken.unlink(missing_ok=True)
    return None


def _sidecar(path: Path, key: str) -> Sidecar:
    _refuse_odd(path)
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
    _refuse_odd(payload)
    if content_hash(payload) != sidecar.sha256:
        raise ValueError("the matrix was cut short or altered")
    matrix: NDArray[np.float32] = np.load(payload, mmap_mode="r", allow_pickle=False)
    if matrix.ndim != 2 or len(matrix) != len(sidecar.images) or matrix.dtype != np.float32:
        raise ValueError("the matrix is not one of features of these rows")
    return matrix


def _refuse_odd(path: Path) -> None:
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
    buffer = io.BytesIO()
    np.save(buffer, matrix, allow_pickle=False)
    data = buffer.getvalue()
    digest = _hash(data)
    payload = _payload(key, digest)
    sidecar = asdict(
        Sidecar(payload, digest, images, {str(row): why for row, why in bad.items()}, made_with)
    )
    write_atomic(folder / payload, data)
    text = json.dumps({"sha256": _hash(_json(sidecar)), "sidecar": sidecar})
    write_atomic(folder / f"{key}.json", text.encode())


def prepare(folder: Path, need: int) -> None:
    """InputError now, rather than after the work, if `need` bytes can't be stored in `folder`."""
    check_writable(folder, "cache_dir")
    free = shutil.disk_usage(folder).free
    if free < need:
        raise InputError(
            f"cache_dir={folder} has {free / 1e6:.0f} MB free and the features take "
            f"{need / 1e6:.0f} MB; free some space or name another folder"
        )
    for left_over in folder.glob(".*.tmp"):  # by a process that was killed
        if left_over.stat().st_mtime < time.time() - STALE:
            left_over.unlink(missing_ok=True)


def rows(folder: Path, wanted: set[str]) -> dict[str, NDArray[np.float32]]:
    """Content hash -> row, for those wanted images that any matrix in `folder` has already."""
    known: dict[str, NDArray[np.float32]] = {}
    for path in sorted(folder.glob("*.json")):
        if len(known) == len(wanted):
            break
        try:
            stored = read(folder, path.stem)
        except InputError as error:
            log.warning("%s; its rows are computed", error)
            continue
        if stored is None:
            continue
        matrix, sidecar = stored
        for row, image in enumerate(sidecar.images):
            if image in wanted and str(row) not in sidecar.bad:
                known[image] = matrix[row]
    return known


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
