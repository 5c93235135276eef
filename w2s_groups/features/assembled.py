"""From shards to one memory-mapped matrix, without the whole of it in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.features import cache, shards
from w2s_groups.features.compute import Items, Run
from w2s_groups.features.shards import Shard

TRIES = 3  # shards may be altered, or taken away by another data set's process, while we work


class _Gone(Exception):
    """A shard that was there is no more, or is not what it should be."""


def matrix(items: Items, run: Run, cache_dir: Path) -> tuple[NDArray[np.float32], cache.Sidecar]:
    """The (N, d) matrix of items, of which the cache has no more than shards.

    Raises InputError for a disk that is full, can't be written to, or doesn't keep what is written.
    """
    folder, key = shards.place(items, run, cache_dir)
    parts = shards.cut(items, run, cache_dir)
    rows = sum(len(shard.rows) for shard in [*parts, *shards.missing(parts)])
    cache.prepare(folder, (run.encoder.width * 4 + 80) * rows)
    for _ in range(TRIES):
        shards.take(items, run, parts)
        with shards.claimed(folder / f"{key}.lock", waits=True):
            stored = cache.read(folder, key)
            if stored is None and _assemble(items, folder, key, parts, run.encoder.width):
                stored = cache.read(folder, key)
        if stored is not None:
            _clear(parts)
            return stored
    raise InputError(
        f"cache_dir={cache_dir} does not keep what is written to it; name another folder"
    )


def _assemble(items: Items, folder: Path, key: str, parts: Sequence[Shard], width: int) -> bool:
    """Write the matrix, if all of its shards are there and whole."""
    bad: dict[int, str] = {}
    made_with: dict[str, str] = {}

    def read() -> Iterator[NDArray[np.float32]]:
        for shard in parts:
            features, sidecar = _checked(items, shard, width)
            bad.update({shard.rows[int(row)]: why for row, why in sidecar.bad.items()})
            made_with.update(sidecar.made_with)
            yield features

    try:
        cache.write_parts(folder, key, len(items.content), read(), items.content, bad, made_with)
    except _Gone:
        return False
    return True


def _checked(items: Items, shard: Shard, width: int) -> tuple[NDArray[np.float32], cache.Sidecar]:
    """A shard and its sidecar, if they are of these items; else they are taken away."""
    stored = cache.read(shard.folder, shard.key)
    if stored is None:
        raise _Gone
    features, sidecar = stored
    own = items.content[shard.rows.start : shard.rows.stop]
    if sidecar.images != own or features.shape[1] != width:
        cache.discard(shard.folder, shard.key, sidecar)
        raise _Gone
    return features, sidecar


def _clear(parts: Sequence[Shard]) -> None:
    """Take away the shards of a matrix that is there."""
    keys = {shard.key for shard in parts}
    for path in parts[0].folder.iterdir():
        if path.name[: len(parts[0].key)] in keys:
            with contextlib.suppress(OSError):
                path.unlink()
