"""The cells of a run: the cross product of the fields that hold lists."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from w2s_groups.design.sampling import Request
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import ORIGINAL, numbers


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a draw and its seed."""

    request: Request
    seed: int


def cells(config: Config, original: float) -> list[Cell]:
    """The cross product of the list-valued fields, seeds outermost so that blocks share draws.

    original: the minority fraction that "original" stands for. Raises InputError where that
    repeats another value.
    """
    eta_l, eta_u = (
        numbers(
            name, [original if v == ORIGINAL else v for v in getattr(config, name)], float, 0.0, 0.5
        )
        for name in ("eta_l", "eta_u")
    )
    eta_val = config.eta_val if config.n_val else 0.5  # of no meaning then, nor in a cell's key
    return [
        Cell(Request(n_l, n_u, at_l, at_u, config.n_val, eta_val), seed)
        for seed, n_l, n_u, at_l, at_u in itertools.product(
            config.seeds, config.n_l, config.n_u, eta_l, eta_u
        )
    ]
