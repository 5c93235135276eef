"""Content hashes of image files, of which an index keeps those of files that have not changed."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.core.machine import cores
from w2s_groups.features import cache
from w2s_groups.features.compute import UNREADABLE

# Seconds between the last change of a file and its hash. Within the resolution of file times, and
# of the clocks of two machines, a file may change after its hash and keep its time.
RACY = 5
OTHERS = 10**6  # files of the same folder that another list names, which the index keeps at most
_CHUNK = 1000  # files whose sizes and times a thread takes at a time
_UINT64 = 2**64 - 1

Entries = NDArray[np.uint64]  # (M, 9): two of a path's hash, size, mtime_ns, inode, four of sha256

log = logging.getLogger("w2s_groups")


def contents(
    root: Path,
    files: Sequence[str],
    workers: int = 0,
    index: Path | None = None,
    verify: str = "changed",
) -> list[str]:
    """sha256 of the bytes of each of N files below root, or UNREADABLE and why it can't be read.

    index: folder of the hashes of earlier calls. A file whose size, time of change (ns) and inode
    are those of the index is not read, unless it was hashed within RACY seconds of that time, or
    verify is "full". Without an index every byte is read. A damaged index is not used: a line in
    the log says so, and every file is hashed. It has 72 bytes a file, its own sha256 first, and it
    is written when a hash is new (git, Documentation/technical/racy-git, on times that lie).
    """
    paths = [f"{root}/{file}" for file in files]
    keys = _keys(files)
    path = None if index is None else index / f"{_digest(str(root.resolve()))[:32]}.hashes"
    old = _read(path)
    sha256: dict[int, str] = {}
    with ThreadPoolExecutor(workers or cores()) as pool:
        if verify != "full" and len(old):
            sha256 = _unchanged(old, keys, _mapped(pool, _stamp, paths, _CHUNK))
        rest = [row for row in range(len(paths)) if row not in sha256]
        asked = [paths[row] for row in rest]
        hashed = dict(zip(rest, _mapped(pool, _hashed, asked, 16), strict=True))
    fresh = [
        [*keys[row].tolist(), *stamp, *np.frombuffer(bytes.fromhex(text), "<u8").tolist()]
        for row, (text, stamp) in hashed.items()
        if stamp is not None
    ]
    if path is not None and fresh:
        _write(path, _merged(old, np.array(fresh, dtype=np.uint64), keys))
    return [sha256[row] if row in sha256 else hashed[row][0] for row in range(len(paths))]


def _mapped(
    pool: ThreadPoolExecutor, task: Callable[[str], Any], paths: list[str], chunk: int
) -> list[Any]:
    """task of each path, `chunk` at a time: to hand over a million costs more than their work."""
    chunks = [paths[start : start + chunk] for start in range(0, len(paths), chunk)]
    return [one for done in pool.map(lambda some: list(map(task, some)), chunks) for one in done]


def _stamp(path: str) -> tuple[int, int, int]:
    """Size, time of change and inode; zeros, which no hashed file has, if it is missing."""
    try:
        return _of(os.stat(path))  # noqa: PTH116, a Path costs more than the call
    except (OSError, ValueError):
        return 0, 0, 0


def _of(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns & _UINT64, stat.st_ino & _UINT64


def _hashed(path: str) -> tuple[str, tuple[int, int, int] | None]:
    """Hash, or why there is none; and the stamp of the file, None if it may have changed since."""
    try:
        with Path(path).open("rb") as file:
            now, before = time.time_ns(), os.fstat(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        return f"{UNREADABLE}missing", None
    except OSError as error:
        return f"{UNREADABLE}{error.strerror}", None
    if not after.st_size:
        return f"{UNREADABLE}empty file", None
    settled = _of(before) == _of(after) and now - after.st_mtime_ns > RACY * 10**9
    return sha256, _of(after) if settled else None


def _keys(files: Sequence[str]) -> Entries:
    """(N, 2): what the index calls the files."""
    data = b"".join(
        hashlib.blake2b(file.encode(errors="surrogateescape"), digest_size=16).digest()
        for file in files
    )
    return np.frombuffer(data, "<u8").reshape(-1, 2)


def _unchanged(old: Entries, keys: Entries, stamps: list[tuple[int, int, int]]) -> dict[int, str]:
    """Row -> hash in the index, of files that are as they were."""
    places = np.searchsorted(old[:, 0], keys[:, 0]) % len(old)
    now = np.concatenate([keys, np.array(stamps, dtype=np.uint64)], axis=1)
    rows = np.flatnonzero((old[places, :5] == now).all(axis=1))
    digits = old[places[rows], 5:].astype("<u8").tobytes().hex()
    return {row: digits[64 * k : 64 * k + 64] for k, row in enumerate(rows.tolist())}


def _merged(old: Entries, fresh: Entries, keys: Entries) -> Entries:
    """Entries in the order of their keys: new ones, old ones of the same list, some of others."""
    kept = old[~np.isin(old[:, 0], fresh[:, 0])]
    ours = np.isin(kept[:, 0], keys[:, 0])
    entries = np.concatenate([fresh, kept[ours], kept[~ours][:OTHERS]])
    return entries[entries[:, 0].argsort(kind="stable")]


def _read(path: Path | None) -> Entries:
    """The entries of an index; none where it is missing or damaged."""
    nothing = np.empty((0, 9), dtype=np.uint64)
    if path is None:
        return nothing
    try:
        cache.refuse_odd(path)
        data = memoryview(path.read_bytes())
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            raise ValueError("it was cut short or altered")
        return np.frombuffer(data, "<u8", offset=32).reshape(-1, 9)
    except FileNotFoundError:
        return nothing
    except (OSError, ValueError) as error:
        log.warning("the index of hashes %s is not used, and all images are read: %s", path, error)
        return nothing


def _write(path: Path, entries: Entries) -> None:
    data = entries.astype("<u8").tobytes()
    try:
        write_atomic(path, hashlib.sha256(data).digest() + data)
    except InputError as error:  # all are hashed the next time, too
        log.warning("%s; every image is read again by the next run", error)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
