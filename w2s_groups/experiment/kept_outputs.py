"""store_outputs=true: which methods' outputs on the test rows are kept, and where."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.data.base import Dataset, Listed
from w2s_groups.experiment.block import Ran
from w2s_groups.experiment.pool import Pair, Pool
from w2s_groups.experiment.prepare import Prepared
from w2s_groups.results import outputs
from w2s_groups.results.outputs import Samples
from w2s_groups.results.scores.table import PREDICTIONS, PROBABILITIES, SCORES, Coding
from w2s_groups.results.select import Rule
from w2s_groups.results.store import Stored
from w2s_groups.schema.cells import Cell

ANNOUNCED = 10**8  # bytes from which a run says how much it will write

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class Kept:
    """Outputs of the cells of a pair. planned: its cells as they will be stored, below `folder`."""

    folder: Path
    prepared: Prepared
    planned: Mapping[Cell, Stored]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Methods whose outputs are kept: all, with the variants of `vary`; none by default.

        With a rule the trials too, of which it chooses one in each cell by its records.
        """
        cfg = self.prepared.cfg
        if not cfg.store_outputs:
            return ()
        chosen = cfg.select is not Rule.fixed
        return (*cfg.methods, *(v.name for v in cfg.variants if chosen or not v.trial))

    @cached_property
    def lacking(self) -> set[Cell]:
        """Cells of the grid whose outputs of these methods are not all stored."""
        if not self.names:
            return set()
        there = outputs.held(self.folder)
        return {
            cell
            for cell, stored in self.planned.items()
            if not cell.part.audit
            and (stored.key not in there or not there[stored.key].methods.issuperset(self.names))
        }

    def announce(self, pool: Pool) -> None:
        """Say how much will be written where that is much; InputError where the disk has less."""
        columns = pool.n_classes if pool.target is None and pool.n_classes > 2 else 1
        size = len(self.lacking) * len(self.names) * len(pool.test) * columns * 2
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise InputError(
                f"store_outputs=true would write about {_text(size)} below {self.folder}, where "
                f"{_text(free)} are free; name another results_dir, or list fewer methods or seeds"
            )
        if size >= ANNOUNCED:
            log.info("store_outputs=true will write about %s below %s", _text(size), self.folder)

    def save(
        self, pair: Pair, block: Mapping[Cell, Stored], ran: Sequence[Ran], cells: set[Cell]
    ) -> None:
        """Write the outputs of those of `cells` that lack them, from the block that was run."""
        own = {
            stored.key: (stored.fields, of.outputs)
            for (cell, stored), of in zip(block.items(), ran, strict=True)
            if cell in cells & self.lacking
        }
        if own:
            cfg = self.prepared.cfg
            kind = PROBABILITIES if cfg.ridge is None else SCORES
            kind = kind if pair.pool.target is None else PREDICTIONS
            outputs.write(self.folder, samples(self.prepared.division.dataset, pair), kind, own)


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.0f} MB"


def samples(dataset: Dataset, pair: Pair) -> Samples:
    """The test rows of a pair's part, in the order of its outputs."""
    pool, groups = pair.pool, pair.pool.groups
    where = np.flatnonzero(pair.usable)[pool.test]
    codes = pool.codes[pool.test]
    y, a = np.divmod(np.arange(groups.n_groups), len(groups.attribute_names))
    ids, rows = [str(row) for row in where], where
    if isinstance(dataset, Listed):
        ids = [dataset.files[row] for row in where]
        rows = where if dataset.listed is None else dataset.listed[where]
    frame = pd.DataFrame(
        {
            "id": ids,
            "row": rows,
            "y": y[codes],
            "a": a[codes],
            "group": [groups.names[code] for code in codes],
            "minority": groups.is_minority[codes],
        }
    )
    if pool.target is not None:
        frame["target"] = pool.target.values[pool.test]
    coding = Coding(tuple(groups.names), y, a, np.asarray(groups.is_minority), pool.priors)
    return Samples(frame, coding)
