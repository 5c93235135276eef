"""Features of samples that a matrix of another data set holds already."""

from __future__ import annotations

import contextlib
import logging
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.features import cache

log = logging.getLogger(__name__)


def features(folder: Path, wanted: set[str]) -> dict[str, NDArray[np.float32]]:
    """Content hash -> row, for those wanted images that a matrix in `folder` has already.

    A matrix is read, and each of its bytes checked, only if its index lists a wanted image. The
    index is not trusted: what it points to is checked against the sidecar.
    """
    found: dict[str, NDArray[np.float32]] = {}
    asked = np.array([_prefix(text) for text in wanted], dtype="<u8")
    for path in sorted(folder.glob("*.json")):
        if len(found) == len(wanted):
            break
        try:
            hashes, places = _index(path)
            rows = places[_at(hashes, asked)]
            if not len(rows):
                continue
            stored = _checked(folder, path.stem, path.stat().st_mtime_ns)
        except (InputError, OSError) as error:
            log.warning("%s; its rows are computed", error)
            continue
        if stored is None:
            continue
        matrix, sidecar = stored
        for row in rows.tolist():
            image = sidecar.images[row] if row < len(matrix) else ""
            if image in wanted and str(row) not in sidecar.bad:
                found[image] = matrix[row]
    return found


@lru_cache(maxsize=2)
def _checked(folder: Path, key: str, _: int) -> tuple[NDArray[np.float32], cache.Sidecar] | None:
    """`cache.read`, once for all shards of a matrix: it reads every byte."""
    stored = cache.read(folder, key)
    return None if stored is None else (np.asarray(stored[0]), stored[1])


def _index(path: Path) -> NDArray[np.uint64]:
    """(2, N) of the matrix with that sidecar: 64 bits of each content hash, sorted, and its row.

    Empty where the sidecar is damaged. It is made when it is first asked for.
    """
    index = path.with_suffix(".index")
    with contextlib.suppress(OSError, ValueError):  # missing, empty, or cut within a number
        cache.refuse_odd(index)
        return np.memmap(index, dtype="<u8", mode="r").reshape(2, -1)
    hashes = np.array([_prefix(text) for text in cache.images(path)], dtype="<u8")
    order = hashes.argsort(kind="stable")
    entries = np.stack([hashes[order], order.astype("<u8")])
    with contextlib.suppress(InputError):  # a read-only folder: made again the next time
        write_atomic(index, entries.tobytes())
    return entries


def _at(hashes: NDArray[np.uint64], asked: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Where sorted `hashes` hold one of those asked for: the first place of each."""
    places = np.searchsorted(hashes, asked)
    places = places[places < len(hashes)]
    return places[np.isin(hashes[places], asked)]


def _prefix(text: str) -> int:
    """The first 64 bits of a hash; 0 for what stands in the place of one."""
    try:
        return int(text[:16], 16)
    except ValueError:
        return 0
