"""Whether the heads of a run fit into memory_limit_gb, known before a feature is computed.

Every method takes its steps on a drawn cell with labels in place of heads, and the solver says what
the problems that it asks for would need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.data.base import Dataset
from w2s_groups.experiment.answers import Answers
from w2s_groups.experiment.block import at_once, draw_of
from w2s_groups.experiment.fit import with_loss
from w2s_groups.experiment.lockstep import Key, Solved, solve_methods
from w2s_groups.experiment.pool import Pool, make_pool
from w2s_groups.heads import work
from w2s_groups.heads.problem import Head, Problem, n_logits
from w2s_groups.methods.base import Fitted
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.choices import HeadKind, Task
from w2s_groups.schema.config import Config

WIDE = 4096  # features: few networks have more, so that few are loaded to be asked
GB = 2**30


def check(
    cfg: Config,
    dataset: Dataset,
    usable: NDArray[np.bool_],
    cells: Sequence[Cell],
    width: Callable[[str, str], int],
) -> None:
    """InputError, in the words of the configuration, if some head of the cells does not fit.

    width: side, network -> its number of features. Asked only where wide ones would not fit.
    """
    if cfg.head is HeadKind.mlp or not cells:
        return
    numeric = cfg.task is Task.regression
    pool = make_pool(dataset, {}, usable, cfg.class_balance.value, numeric=numeric)
    blocks = [[cell] for cell in {(c.request.n_l, c.request.n_u): c for c in cells}.values()]
    wide = [{"teacher": WIDE, "student": WIDE}]
    if cfg.ridge is None:
        if _refused(cfg, pool, blocks, wide, limit(cfg)) is None:
            return
    else:
        # Ridge heads of many cells share arrays, which take less than as much again.
        if _refused(cfg, pool, blocks, wide, limit(cfg) // 2) is None:
            return
        per_seed = sum(cell.seed == cells[0].seed for cell in cells)
        blocks = [list(cells[: at_once(per_seed, "cpu", len(cfg.methods) + len(cfg.variants))])]
    pairs = [{"teacher": teacher, "student": student} for teacher, student in cfg.pairs]
    widths = [{side: width(side, name) for side, name in pair.items()} for pair in pairs]
    error = _refused(cfg, pool, blocks, widths, limit(cfg))
    if error is not None:
        raise too_small(cfg, error)


def too_small(cfg: Config, error: MemoryLimitError) -> InputError:
    """The sentence of the error with the limit as the configuration has it."""
    need = math.ceil(100 * error.need / GB) / 100
    return InputError(
        f"memory_limit_gb={cfg.memory_limit_gb:g} is too small: {error.what} {need:g} GB; set "
        f"memory_limit_gb={need:g} or more, or lower n_l or n_u"
    )


def limit(cfg: Config) -> int:
    """memory_limit_gb in bytes."""
    return int(cfg.memory_limit_gb * GB)


def _refused(
    cfg: Config,
    pool: Pool,
    blocks: Iterable[Sequence[Cell]],
    pairs: Sequence[Mapping[str, int]],
    memory_limit: int,
) -> MemoryLimitError | None:
    """What the largest step of all lacks; None if every one fits. pairs: side -> width of each."""
    largest, need = None, memory_limit
    for cells in blocks:
        for widths in pairs:
            while True:
                try:
                    _rehearse(cfg, pool, cells, widths, need)
                    break
                except MemoryLimitError as error:
                    largest, need = error, error.need
    return largest


def _rehearse(
    cfg: Config, pool: Pool, cells: Sequence[Cell], widths: Mapping[str, int], memory_limit: int
) -> None:
    """MemoryLimitError if a head of the cells needs more than `memory_limit` bytes."""
    shapes = {side: (len(pool.y), width) for side, width in widths.items()}
    answers = {side: _labels(pool, width) for side, width in widths.items()}

    def fit(asked: Mapping[Key, Sequence[Problem]]) -> dict[Key, list[Solved]]:
        every = [problem for problems in asked.values() for problem in problems]
        work.divided(shapes, with_loss(every, cfg.ridge), memory_limit)
        return {
            key: [Solved(p, answers[p.side]) for p in problems] for key, problems in asked.items()
        }

    draws = [draw_of(cell, pool, cfg.permute_labels)[1] for cell in cells]
    checked = Answers(widths, cfg.ridge)
    solve_methods(cfg.resolved(widths), draws, fit, cfg.built_on(), answers=checked)


def _labels(pool: Pool, width: int) -> Fitted:
    """A head that gives every label back: only the sizes of what it leads to are read."""
    labels = pool.labels(np.arange(len(pool.y)))
    K = n_logits(labels.shape[1])
    return Fitted(Head(np.zeros((width, K)), np.zeros(K)), lambda rows: labels[rows])
