"""The cells of a run: the cross product of the fields that hold lists."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from w2s_groups.design.sampling import Request
from w2s_groups.results.design import AGAIN
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import ORIGINAL, numbers
from w2s_groups.schema.splits import Crossed

OWN = -1  # number of the split that is the data's own
_OTHER_SEED = 10**6  # added to the seed of a draw that is made again


@dataclass(frozen=True)
class Part:
    """The rows that cells share. fold: number of the split, OWN for that of the data.

    audit: "" for the cells of the grid. Of those that measure what the pool's identities matter:
    AGAIN for another draw from the whole pool, or ("identities 0", ...) one of two halves of it.
    """

    fold: int = OWN
    audit: str = ""

    @property
    def rows(self) -> Part:
        """The part of the grid that has the same rows; for a half the part itself."""
        return self if self.half is not None else Part(self.fold)

    @property
    def half(self) -> tuple[str, int] | None:
        """Of what the part has one half, and which; None for the whole pool."""
        which, _, number = self.audit.partition(" ")
        return (which, int(number)) if number else None


WHOLE = Part()


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a draw and its seed, from the rows of a part."""

    request: Request
    seed: int
    part: Part = WHOLE


def cells(config: Config, original: float) -> list[Cell]:
    """The cross product of the list-valued fields, seeds outermost so that blocks share draws.

    original: the minority fraction that "original" stands for. Raises InputError where that
    repeats another value. Cells of a part follow each other.
    """
    eta_l, eta_u = (
        numbers(
            name, [original if v == ORIGINAL else v for v in getattr(config, name)], float, 0.0, 0.5
        )
        for name in ("eta_l", "eta_u")
    )
    eta_val = config.eta_val if config.n_val else 0.5  # of no meaning then, nor in a cell's key

    def grid(eta_l: list[float], eta_u: list[float]) -> list[Request]:
        return [
            Request(n_l, n_u, at_l, at_u, config.n_val, eta_val)
            for n_l, n_u, at_l, at_u in itertools.product(config.n_l, config.n_u, eta_l, eta_u)
        ]

    runs = [(OWN, seed) for seed in config.seeds]
    if config.several is not None:
        runs = config.several.runs(config.seeds)
    crossed = config.several
    audited = _audits(crossed) if isinstance(crossed, Crossed) and crossed.audit else []
    every = []
    for fold, of_fold in itertools.groupby(runs, lambda run: run[0]):
        own = [seed for _, seed in of_fold]
        every += [Cell(request, seed, Part(fold)) for seed in own for request in grid(eta_l, eta_u)]
        every += [
            Cell(request, own[0] + (_OTHER_SEED if audit == AGAIN else 0), Part(fold, audit))
            for audit in audited
            for request in grid(eta_l[-1:], eta_u[-1:])
        ]
    return every


def _audits(crossed: Crossed) -> list[str]:
    """What is also drawn from in each fold, at the last point of the grid."""
    return [AGAIN, *(f"{which} {number}" for which in crossed.audit for number in (0, 1))]
