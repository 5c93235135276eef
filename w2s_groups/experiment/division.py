"""Which rows of a dataset each part of a run draws from and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, Dataset, Listed
from w2s_groups.design import splits
from w2s_groups.design.splits import Fold, Origin
from w2s_groups.schema.cells import OWN, Cell, Part
from w2s_groups.schema.config import Config


@dataclass(frozen=True, eq=False)
class Division:
    """A dataset under the splits of a configuration.

    dataset: with its own split, or with all rows in the pool where there are several splits.
    origin: what the samples show; None for one split. folds: the several splits. known: whether the
    data say who or what a sample shows, so that counts by identity are worth keeping.
    """

    dataset: Dataset
    origin: Origin | None = None
    folds: Sequence[Fold] = ()
    split_seed: int = 0
    known: bool = False

    def rows(self, part: Part) -> tuple[Dataset, NDArray[np.bool_]]:
        """The dataset split as a part splits it, and which of its rows (N,) are on either side."""
        if part.fold == OWN:
            return self.dataset, np.ones(len(self.dataset.y), dtype=bool)
        assert self.origin is not None
        pool, test = self.folds[part.fold]
        if part.half is not None:
            which, number = part.half
            pool = splits.halves(self.origin, which, pool, self.split_seed, part.fold)[number]
        return replace(self.dataset, split=np.where(test, TEST, TRAIN)), pool | test


def divided(cfg: Config, dataset: Dataset) -> Division:
    """The dataset under the splits of cfg; InputError where it does not have what they need."""
    if cfg.several is None:
        if not (dataset.split == TEST).any():
            raise InputError(
                f"data={dataset.name} has no test {dataset.NOUN}s; raise data.n_test or set "
                "data.pool=all where it has that setting, or set splits=crossed or splits=random"
            )
        return Division(dataset)
    cfg.several.check(dataset)
    official = dataset.split if dataset.official is None else dataset.official
    everything = replace(dataset, split=np.full(len(dataset.y), TRAIN), official=official)
    origin = splits.origin(_identities(dataset), dataset.place, dataset.y, dataset.a)
    folds, known = cfg.several.folds(origin), dataset.identity is not None
    return Division(everything, origin, folds, cfg.several.split_seed, known)


def by_part(cells: Sequence[Cell]) -> list[tuple[Part, list[Cell]]]:
    """Each part with the cells of its rows, which follow each other.

    Another draw from the whole pool has the rows of the fold's own cells and goes with them.
    """
    return [(part, list(own)) for part, own in groupby(cells, lambda cell: cell.part.rows)]


def _identities(dataset: Dataset) -> Sequence[str]:
    """What each sample shows; where that is not known, a sample and its copies are one identity."""
    if dataset.identity is not None:
        return dataset.identity
    if isinstance(dataset, Listed):
        return dataset.sort_keys
    return [f"{row:09d}" for row in range(len(dataset.y))]
