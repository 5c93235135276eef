"""Samples through a network: batches on threads, features of samples known before reused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from w2s_groups.backbones.base import Encoder
from w2s_groups.core.errors import InputError
from w2s_groups.core.progress import bar

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


def compute(
    items: Items,
    rows: Sequence[int],
    run: Run,
    known: Mapping[str, NDArray[np.float32]],
    shown: Progress,
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """(R, d) features of R rows of the items, and place among them -> reason of the bad ones.

    known: content hash -> features, which are copied. Raises InputError for features that are not
    finite.

    A row's bits depend on its batch's size, and not on its place or on the others in it. So every
    batch has the same size, which a row that is repeated fills up.
    """
    content = [items.content[row] for row in rows]
    matrix = np.full((len(rows), run.encoder.width), np.nan, dtype=np.float32)
    bad = {
        place: text.removeprefix(UNREADABLE)
        for place, text in enumerate(content)
        if text.startswith(UNREADABLE)
    }
    for place, text in enumerate(content):
        if text in known:
            matrix[place] = known[text]
    todo = [k for k, text in enumerate(content) if k not in bad and text not in known]
    shown.spared(len(rows) - len(todo))
    if items.length is not None:
        lengths = {place: items.length(rows[place]) for place in todo}
        todo.sort(key=lengths.__getitem__)
    size = min(run.batch_size, len(items.content))
    batches = [todo[i : i + size] for i in range(0, len(todo), size)]

    # On the CPU, every thread takes whole batches through decoding and network on one core. Against
    # a network spread over all cores, fed by loader processes, nothing waits for the slowest core
    # at each layer, no decoder takes a core from the network, nothing is copied between processes,
    # and a batch's sums don't depend on the number of cores. Pillow and torch release the GIL.
    def task(batch: list[int]) -> tuple[int, dict[int, str]]:
        read, tensors, faults = _loaded(items, rows, batch)
        if read:
            tensors += tensors[-1:] * (size - len(read))
            features = _features(items, run, items.names[rows[read[0]]], tensors)
            matrix[read] = features[: len(read)]
        return len(batch), faults

    with _threads(run.workers) as pool:
        for future in as_completed([pool.submit(task, batch) for batch in batches]):
            n, faults = future.result()
            bad.update(faults)
            shown.done(n)
    return matrix, bad


@contextmanager
def on_device(run: Run) -> Iterator[None]:
    """The network on the device of the run, and on the CPU afterwards."""
    run.encoder.network.to(run.device)
    try:
        yield
    finally:
        run.encoder.network.to("cpu")


class Progress:
    """A bar, or calls of the run with (done, total), over rows that go through the network."""

    def __init__(self, run: Run, total: int, noun: str) -> None:
        self.run, self.ended = run, 0
        self.bar = bar(run.encoder.name, total, noun, quiet=run.progress is not True)
        self.total = total

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def done(self, n: int) -> None:
        """The network has ended n more rows."""
        self.ended += n
        self.bar.update(n)
        if callable(self.run.progress):
            self.run.progress(self.ended, self.total)

    def spared(self, n: int) -> None:
        """The network has n rows less to do: they are known, bad, or another process's."""
        self.total -= n
        self.bar.total = self.total
        self.bar.refresh()


def _loaded(
    items: Items, rows: Sequence[int], batch: list[int]
) -> tuple[list[int], list[torch.Tensor], dict[int, str]]:
    """Places of a batch that can be read, as tensors, and place -> reason of the others."""
    read, tensors, faults = [], [], {}
    for place in batch:
        try:
            tensors.append(items.load(rows[place], items.content[rows[place]]))
            read.append(place)
        except MemoryError:
            raise
        except Exception as error:  # a decoder given arbitrary bytes can fail in any way
            faults[place] = _reason(error)
    return read, tensors, faults


def _features(
    items: Items, run: Run, first: str, tensors: list[torch.Tensor]
) -> NDArray[np.float32]:
    """(B, d) of one batch. InputError unless they are finite."""
    # Autocast is a thread's own setting.
    with torch.inference_mode(), mixed(run.device, run.precision):
        batch = run.encoder.batch(tensors).to(run.device)
        features: torch.Tensor = run.encoder.network(batch).cpu()
    if not torch.isfinite(features).all():
        raise InputError(
            f"{run.encoder.name} gives features that are not finite for {first} or "
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
