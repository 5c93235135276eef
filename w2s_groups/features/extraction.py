"""Image files or texts -> feature matrix, kept in a cache that is addressed by content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from w2s_groups.backbones.base import Backbone, Encoder
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.machine import cores
from w2s_groups.features import assembled, cache, shards
from w2s_groups.features.compute import Items, Run
from w2s_groups.features.hashes import contents

# How far the features of one image may lie apart in batches of different sizes, relative to its
# largest. Sums in another order in float32; 64 roundings of a product (2^-9, 2^-12) otherwise.
TOLERANCE = {"float32": 1e-5, "bfloat16": 64 * 2**-9, "float16": 64 * 2**-12}


@dataclass(frozen=True, eq=False)
class Features:
    """matrix: (N, d) float32, read-only, memory-mapped; the row of a bad image or text is NaN.

    bad: (index, file, reason) of each one that couldn't be read. key: identifies the content.
    from_cache: nothing had to be computed or copied.
    """

    matrix: NDArray[np.float32]
    bad: tuple[tuple[int, str, str], ...]
    key: str
    from_cache: bool


def extract(
    dataset_root: Path,
    files: Sequence[str],
    backbone: Backbone,
    cache_dir: Path,
    *,
    batch_size: int = 16,
    workers: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    on_bad_image: str = "stop",
    progress: bool | Callable[[int, int], None] = False,
    content: list[str] | None = None,
) -> Features:
    """Features of N images, from the cache or computed and stored there.

    workers: images are decoded, and networks run, on that many cores (0: all this process may use).
    device: "auto", "cpu", "cuda", "cuda:1", "mps". precision: "float32", or "bfloat16" or "float16"
    for products at that precision and the rest in float32 (torch.autocast). on_bad_image: "stop"
    raises InputError with every bad image and its reason, once all others are in the cache; "skip"
    gives their rows as NaN. progress: True for a bar, or called with (done, total). content: what
    `contents` gives, where it is known. The key holds the bytes of every image in order, the
    preprocessing, the network, its weights and the precision; the device, a dataset's name, its
    place and the file times play no part. Same batch size: same bits, whatever `workers` is. Other
    batch sizes: equal to TOLERANCE[precision] of a row's largest feature. Images known from an
    earlier extraction aren't computed again. Raises InputError for an unwritable or full cache,
    before the extraction, and for features that overflow.
    """
    root = Path(dataset_root)
    if not files:
        raise InputError("files is empty; name at least one image to extract features from")
    run = run_of(backbone, device, precision, batch_size, workers, progress, on_bad_image)
    if content is None:
        content = contents(root, files, run.workers)
    return extracted(images(root, files, backbone, content), run, Path(cache_dir), on_bad_image)


def images(root: Path, files: Sequence[str], backbone: Backbone, content: list[str]) -> Items:
    """Image files below `root`, with what `contents` gives, for a network."""

    def load(row: int, sha256: str) -> torch.Tensor:
        return _pixels(root / files[row], backbone, sha256)

    return Items("image", str(root), files, content, load)


def extracted(items: Items, run: Run, cache_dir: Path, on_bad: str) -> Features:
    """What `extract` promises, of items."""
    folder, key = shards.place(items, run, cache_dir)
    stored = cache.read(folder, key)
    from_cache = stored is not None
    if stored is None:
        stored = assembled.matrix(items, run, cache_dir)
    result, sidecar = stored
    bad_rows = {int(row): why for row, why in sidecar.bad.items()}
    listed = listed_or_stopped(items.where, items.names, bad_rows, on_bad, items.noun)
    return Features(result, listed, key, from_cache)


def listed_or_stopped(
    where: str, files: Sequence[str], bad: dict[int, str], on_bad_image: str, noun: str = "image"
) -> tuple[tuple[int, str, str], ...]:
    """(index, file, reason) of the bad images; InputError with all of them unless "skip"."""
    listed = tuple((row, files[row], why) for row, why in sorted(bad.items()))
    if listed and on_bad_image == "stop":
        reasons = "; ".join(f"{file} ({why})" for _, file, why in listed)
        raise InputError(
            f"{len(listed)} of {len(files)} {noun}s in {where} can't be read: {reasons}; "
            f"repair them (the other {noun}s' features are kept) or set on_bad_image=skip"
        )
    return listed


def run_of(
    encoder: Encoder,
    device: str,
    precision: str,
    batch_size: int,
    workers: int,
    progress: bool | Callable[[int, int], None],
    on_bad_image: str,
) -> Run:
    """The settings of `extract`, with a device that is there and a number of workers.

    Raises InputError for a setting out of its range.
    """
    if on_bad_image not in ("stop", "skip"):
        raise InputError(f"on_bad_image={on_bad_image!r} must be stop or skip; change it")
    for field, value, low in (("batch_size", batch_size, 1), ("workers", workers, 0)):
        if value < low:
            raise InputError(f"{field}={value} must be {low} or more; change it")
    if precision not in TOLERANCE:
        raise unknown_name("precision", precision, TOLERANCE)
    # As many threads as asked for: more than cores would only have them wait for each other.
    return Run(encoder, best_device(device), precision, batch_size, workers or cores(), progress)


def best_device(device: str) -> str:
    """The device itself, or for "auto" the best one here. InputError if it can't be used."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device={device} can't be used here ({reason}); use device=auto or device=cpu"
        ) from error
    return device


def _pixels(path: Path, backbone: Backbone, sha256: str) -> torch.Tensor:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("changed while it was being read")
    with Image.open(io.BytesIO(data)) as image:
        return backbone.preprocess(image)
