"""Samples through a network: batches on threads, features of samples known before reused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import nn

from w2s_groups.backbones.base import Encoder
from w2s_groups.core.errors import InputError
from w2s_groups.core.progress import bar
from w2s_groups.features import cache

UNREADABLE = "unreadable: "  # stands where a content hash would, so that a repair changes the key
REMEDY = {
    "float32": "leave the image out, or choose another network",
    "bfloat16": "set precision=float32",
    "float16": "set precision=bfloat16 or precision=float32",
}


@dataclass(frozen=True)
class Items:
    """N images or texts.

    where: the folder or data set, for messages. content: a hash, or UNREADABLE and the reason.
    load(row, hash): one as a tensor. length(row): batches hold neighbours of this order; None: of
    the order that they are in.
    """

    noun: str
    where: str
    names: Sequence[str]
    content: list[str]
    load: Callable[[int, str], torch.Tensor]
    length: Callable[[int], int] | None = None


@dataclass(frozen=True)
class Run:
    """How the items of a data set go through a network, checked by `extraction.run_of`."""

    encoder: Encoder
    device: str
    precision: str
    batch_size: int
    workers: int
    progress: bool | Callable[[int, int], None]


def compute(items: Items, folder: Path, run: Run) -> tuple[NDArray[np.float32], dict[int, str]]:
    """(N, d) features and the bad rows with their reasons.

    folder: of cached matrices; what is known there is copied. Raises InputError for features that
    are not finite.
    """
    content = items.content
    matrix = np.full((len(content), run.encoder.width), np.nan, dtype=np.float32)
    bad = {
        row: text.removeprefix(UNREADABLE)
        for row, text in enumerate(content)
        if text.startswith(UNREADABLE)
    }
    known = cache.rows(folder, {text for row, text in enumerate(content) if row not in bad})
    for row, text in enumerate(content):
        if text in known:
            matrix[row] = known[text]
    todo = [row for row, text in enumerate(content) if row not in bad and text not in known]
    if items.length is not None:
        todo.sort(key=items.length)
    batches = [todo[i : i + run.batch_size] for i in range(0, len(todo), run.batch_size)]
    # On the CPU, every thread takes whole batches through decoding and network on one core. Against
    # a network spread over all cores, fed by loader processes, nothing waits for the slowest core
    # at each layer, no decoder takes a core from the network, nothing is copied between processes,
    # and a batch's sums don't depend on the number of cores. Pillow and torch release the GIL.
    network = run.encoder.network.to(run.device)

    def task(batch: list[int]) -> tuple[int, dict[int, str]]:
        rows, tensors, faults = _loaded(items, batch)
        if rows:
            matrix[rows] = _features(items, run, network, rows, tensors)
        return len(batch), faults

    try:
        with _threads(run.workers) as pool:
            for faults in _finished(pool, task, batches, len(todo), items.noun, run):
                bad.update(faults)
    finally:
        run.encoder.network.to("cpu")
    return matrix, bad


def _loaded(items: Items, batch: list[int]) -> tuple[list[int], list[torch.Tensor], dict[int, str]]:
    """Rows of a batch that can be read, as tensors, and row -> reason of the others."""
    rows, tensors, faults = [], [], {}
    for row in batch:
        try:
            tensors.append(items.load(row, items.content[row]))
            rows.append(row)
        except MemoryError:
            raise
        except Exception as error:  # a decoder given arbitrary bytes can fail in any way
            faults[row] = _reason(error)
    return rows, tensors, faults


def _features(
    items: Items, run: Run, network: nn.Module, rows: list[int], tensors: list[torch.Tensor]
) -> NDArray[np.float32]:
    """(B, d) of one batch. InputError unless they are finite."""
    # Autocast is a thread's own setting.
    with torch.inference_mode(), mixed(run.device, run.precision):
        features: torch.Tensor = network(run.encoder.batch(tensors).to(run.device)).cpu()
    if not torch.isfinite(features).all():
        raise InputError(
            f"{run.encoder.name} gives features that are not finite for {items.names[rows[0]]} or "
            f"another {items.noun} of its batch at precision={run.precision}; "
            + REMEDY[run.precision]
        )
    return np.asarray(features.numpy())


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that each run networks on one core, by exact sums."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    try:
        with exact, warnings.catch_warnings():
            # Pillow warns of a huge image and refuses one twice as large: neither is decoded here.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # also what later threads start with


def _finished(
    pool: ThreadPoolExecutor,
    task: Callable[[list[int]], tuple[int, dict[int, str]]],
    batches: Sequence[list[int]],
    total: int,
    noun: str,
    run: Run,
) -> Iterator[dict[int, str]]:
    """Faults of each batch as it ends, with progress of the `total` samples."""
    done = 0
    with bar(run.encoder.name, total, noun, quiet=run.progress is not True) as shown:
        for future in as_completed([pool.submit(task, batch) for batch in batches]):
            n, faults = future.result()
            done += n
            shown.update(n)
            if callable(run.progress):
                run.progress(done, total)
            yield faults


def mixed(device: str, precision: str) -> torch.autocast:
    """Products at `precision` within this context, on this thread."""
    dtype: torch.dtype = getattr(torch, precision)
    return torch.autocast(torch.device(device).type, dtype, enabled=precision != "float32")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"  # the message would name a buffer in memory
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller"
    return " ".join(str(error).split()) or type(error).__name__
