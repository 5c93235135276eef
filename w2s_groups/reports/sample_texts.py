"""Some texts or rows of each group. For looking at a dataset, not for publishing."""

from __future__ import annotations

import textwrap

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TableDataset, TextDataset

WIDTH = 100  # characters of a line
_LONGEST = 300  # characters that are shown of a text


def sheet(
    dataset: TextDataset | TableDataset,
    usable: NDArray[np.bool_],
    per_group: int = 6,
    seed: int = 0,
) -> str:
    """`per_group` texts or rows of each group, picked by `seed` from all splits.

    usable: (N,) a mask.
    """
    groups, codes = dataset.groups, dataset.codes
    noun = f"{dataset.NOUN}s"
    lines = [f"{dataset.name}: {int(usable.sum())} {noun}"]
    for code, name in enumerate(groups.names):
        members = np.flatnonzero((codes == code) & usable)
        few = ", minority" if groups.is_minority[code] else ""
        lines += ["", f"{name}{few}: {members.size} {noun}"]
        order = stream(seed, f"figures/samples/{name}").permutation(members)
        for row in order[:per_group].tolist():
            short = textwrap.shorten(dataset.shown(row), _LONGEST, placeholder=" ...")
            entry = f"{dataset.files[row]}: {short}"
            lines += textwrap.wrap(entry, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"
