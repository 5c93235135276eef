"""A feature matrix in shards, each written when it is done, by as many processes as there are."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import PIL
import torch
from filelock import FileLock, Timeout

from w2s_groups.features import cache, known
from w2s_groups.features.compute import UNREADABLE, Items, Progress, Run, compute, on_device

FORMAT = "1"  # a change of what is stored, or of how it is computed, is a new key

# Rows of a shard. Always the same, so that the batches, which lie within a shard, and with them the
# bits of a row, depend on nobody's machine. A kill loses less than a minute of a network on a GPU.
ROWS = 2048

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True)
class Shard:
    """Rows of a matrix that are computed and written together.

    number: 0, 1, ... in the matrix. rows: consecutive ones of the items. key: names its files in
    `folder`, by their content. matrix: key of the whole matrix, which lies one folder above.
    """

    number: int
    rows: range
    key: str
    folder: Path
    matrix: str

    @property
    def is_there(self) -> bool:
        """Whether it is on disk, by itself or in the whole matrix, which is made before it goes."""
        named = (self.folder / f"{self.key}.json", self.folder.parent / f"{self.matrix}.json")
        return any(path.is_file() for path in named)


def place(items: Items, run: Run, cache_dir: Path) -> tuple[Path, str]:
    """Folder and key of the matrix of items."""
    folder, scope = _scope(run, cache_dir)
    return folder, _key(scope, items.content)


def cut(items: Items, run: Run, cache_dir: Path) -> list[Shard]:
    """The shards of a matrix, in the order of their rows."""
    folder, scope = _scope(run, cache_dir)
    n, matrix = len(items.content), _key(scope, items.content)
    parts = [range(start, min(start + ROWS, n)) for start in range(0, n, ROWS)]
    return [
        Shard(
            k, rows, _key(scope, items.content[rows.start : rows.stop]), folder / "shards", matrix
        )
        for k, rows in enumerate(parts)
    ]


def missing(shards: Sequence[Shard]) -> list[Shard]:
    """Those that are not on disk. Their bytes are checked when the matrix is assembled."""
    return [shard for shard in shards if not shard.is_there]


def of_part(shards: Sequence[Shard], part: tuple[int, int] | None) -> list[Shard]:
    """Those of the k-th of n parts, part = (k, n): each n-th, by number; None: all of them."""
    return [s for s in shards if part is None or s.number % part[1] == part[0] - 1]


def make(items: Items, run: Run, shard: Shard) -> dict[int, str]:
    """Compute a shard and write it. Row of the items -> why it could not be read, of the bad ones.

    Two processes that make the same shard do no harm. Raises InputError for features that are not
    finite, and for a disk that is full.
    """
    with on_device(run), Progress(run, len(shard.rows), items.noun) as shown:
        return _make(items, run, shard, shown)


def take(
    items: Items, run: Run, shards: Sequence[Shard], part: tuple[int, int] | None = None
) -> None:
    """Make all that are missing, side by side with whoever else does.

    part: as of `of_part`. Each process begins at another place, and leaves a shard to the process
    that is making it; at the end it waits for the others' shards, and takes over those of a process
    that has died. Raises what `make` raises.
    """
    left = missing(of_part(shards, part))
    if not left:
        return
    start = secrets.randbelow(len(left))
    left = left[start:] + left[:start]
    total = sum(len(shard.rows) for shard in left)
    with on_device(run), Progress(run, total, items.noun) as shown:
        while left:
            others = [shard for shard in left if not _taken(items, run, shard, shown)]
            if len(others) == len(left):
                log.info(
                    "other processes are at work on %d shards of %ss for %s: waiting for them",
                    *(len(left), items.noun, run.encoder.name),
                )
                _taken(items, run, others.pop(0), shown, waits=True)
            left = others


def _taken(items: Items, run: Run, shard: Shard, shown: Progress, waits: bool = False) -> bool:
    """Whether the shard is there now. False if another process makes it and we do not wait."""
    with claimed(shard.folder / f"{shard.key}.lock", waits) as ours:
        if not ours:
            return False
        if shard.is_there:
            shown.spared(len(shard.rows))
        else:
            _make(items, run, shard, shown)
        return True


@contextmanager
def claimed(path: Path, waits: bool) -> Iterator[bool]:
    """Whether the lock at `path` is ours. The system frees that of a process that dies.

    On a disk without locks everything is ours: then some of the work is done more than once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        with contextlib.suppress(NotImplementedError):
            lock.acquire(blocking=waits)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _make(items: Items, run: Run, shard: Shard, shown: Progress) -> dict[int, str]:
    content = items.content[shard.rows.start : shard.rows.stop]
    wanted = {text for text in content if not text.startswith(UNREADABLE)}
    old = known.features(shard.folder.parent, wanted)
    matrix, bad = compute(items, shard.rows, run, old, shown)
    made_with = {"torch": torch.__version__, "pillow": PIL.__version__, "device": run.device}
    cache.write(shard.folder, shard.key, matrix, content, bad, made_with)
    return {shard.rows[place]: why for place, why in bad.items()}


def _scope(run: Run, cache_dir: Path) -> tuple[Path, str]:
    """Folder of a network's matrices, and what their keys begin with."""
    net = run.encoder
    scope = _digest(FORMAT, net.name, net.weights_hash, net.transform, run.precision)
    slug = "".join(c if c.isalnum() or c in "-_" else "-" for c in net.name)[:60]
    return cache_dir / "features" / f"{slug}-{scope[:12]}", scope


def _key(scope: str, content: Sequence[str]) -> str:
    return _digest(scope, *content)[:32]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
