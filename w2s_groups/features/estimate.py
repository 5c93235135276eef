"""What features of N samples take, before any is computed: disk, memory, time and cost."""

from __future__ import annotations

from collections.abc import Iterable

HASH = 68  # bytes of a sample in the list of a matrix: 64 digits in quotes, a comma and a space
FILE = 1024  # bytes of a matrix or a shard beyond its rows: header, versions, own hash
SAMPLE = 900  # bytes of memory for a sample: its name, hashes and labels, while lists are sorted
PROCESS = 900 * 2**20  # bytes of memory of Python, its libraries, a small network on two threads


def stored(n: int, width: int, files: int = 1) -> int:
    """Bytes on disk of the features of n samples in one matrix, or in several shards."""
    return n * (4 * width + HASH) + files * FILE


def disk(n: int, width: int, missing: Iterable[int]) -> int:
    """Bytes that an extraction still writes: shards that are missing, and then the matrix.

    missing: samples of each shard that is not there yet. Shards go once the matrix is there.
    """
    return stored(n, width) + sum(stored(rows, width) for rows in missing)


def memory(n: int, width: int, rows: int, parallel: int = 1) -> int:
    """Bytes of memory of an extraction: no more than a few shards of features, whatever n is.

    rows: of a shard. parallel: shards at a time. Names, hashes and labels of all n samples are in
    memory; images, and the activations of a large network, come on top: batch_size and `workers`
    times those of one image.
    """
    return PROCESS + SAMPLE * n + parallel * 3 * stored(rows, width)


def seconds(n: int, rate: float, machines: float = 1) -> float:
    """Time of n samples at `rate` samples a second on each of as many machines."""
    return n / (rate * machines)


def cost(n: int, rate: float, price: float) -> float:
    """Price of n samples, at `rate` a second, on a machine of which an hour costs `price`.

    However many machines share the work, it costs the same.
    """
    return seconds(n, rate) / 3600 * price
