"""Test samples that are also in the pool: the same bytes, or the same text, under any name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_groups.data.base import TEST, Listed


def shared_rows(
    split: NDArray[np.int64], content: Sequence[str | None]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Test rows whose content is in the pool, and for each a row of the pool that has it.

    split: (N,). content: N hashes; None where it is not known or the row is left out.
    """
    pool: dict[str, int] = {}
    for row in np.flatnonzero(split != TEST).tolist():
        digest = content[row]
        if digest is not None:
            pool.setdefault(digest, row)
    test = [row for row in np.flatnonzero(split == TEST).tolist() if content[row] in pool]
    twins = [pool[known] for row in test if (known := content[row]) is not None]
    return np.array(test, dtype=np.int64), np.array(twins, dtype=np.int64)


def sentences(
    dataset: Listed, content: Sequence[str | None], what: str = ""
) -> tuple[str, str] | None:
    """How many test samples are also in the pool, and one of them by name; None without any.

    what: what of them is the same, such as "the features of" one in the pool.
    """
    test, twins = shared_rows(dataset.split, content)
    if not len(test):
        return None
    known = sum(
        known is not None
        for known, split in zip(content, dataset.split.tolist(), strict=True)
        if split == TEST
    )
    said = f"have {what} one in the pool" if what else "are also in the pool"
    text = f"{len(test)} of {known} test {dataset.NOUN}s {said}"
    return text, f"such as {dataset.files[test[0]]} ({dataset.files[twins[0]]})"
