"""Named random streams: a new step draws from a new name and so moves no other draw."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """Generator of the stream `name` (such as "labelled/draw") under `seed`.

    Streams of different names or seeds are independent; the same pair gives the same numbers
    on every machine. There is no global generator anywhere in the package.
    """
    digest = hashlib.sha256(name.encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
