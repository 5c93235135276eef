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
from w2s_groups.heads import streamed, work
from w2s_groups.heads.problem import Head, Problem, n_logits
from w2s_groups.heads.streamed import NoBlocksError, Shapes
from w2s_groups.methods.base import Fitted
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.choices import HeadKind, Task
from w2s_groups.schema.config import Config

WIDE = 4096  # features: few networks have more, so that few are loaded to be asked
GB = 2**30
# Bytes of a row without its features, of two classes: of a data set that lists it, with its name
# and hashes, and of a cell that has drawn it.
LISTED, DRAWN = 390, 160


def check(
    cfg: Config,
    dataset: Dataset,
    usable: NDArray[np.bool_],
    cells: Sequence[Cell],
    width: Callable[[str, str], int],
    blocks: bool = False,
) -> bool:
    """Whether heads are solved by blocks of rows, since some head of the cells does not fit.

    width: side, network -> its number of features. Asked only where wide ones would not fit.
    blocks: whether the command can do that. InputError, in the words of the configuration, where
    it cannot, or a method cannot, or blocks do not fit.
    """
    if cfg.head is HeadKind.mlp or not cells:
        return False
    numeric = cfg.task is Task.regression
    pool = make_pool(dataset, {}, usable, cfg.class_balance.value, numeric=numeric)
    singles = _of_each_size(cells)
    wide = [{"teacher": WIDE, "student": WIDE}]
    # Ridge heads of many cells share arrays, which take less than as much again.
    if _refused(cfg, pool, singles, wide, limit(cfg) // (2 if cfg.ridge else 1)) is None:
        return False
    pairs = [{"teacher": teacher, "student": student} for teacher, student in cfg.pairs]
    widths = [{side: width(side, name) for side, name in pair.items()} for pair in pairs]
    blocks = blocks and cfg.tuned is None
    error = _refused(cfg, pool, singles, widths, limit(cfg))
    if cfg.ridge and not (error and blocks):
        per_seed = sum(cell.seed == cells[0].seed for cell in cells)
        together = list(cells[: at_once(per_seed, "cpu", len(cfg.methods) + len(cfg.variants))])
        error = _refused(cfg, pool, [together], widths, limit(cfg))
    if error is None:
        return False
    if not blocks:
        raise too_small(cfg, error)
    _check_blocks(cfg, pool, cells, widths, error)
    return True


def cells_at_once(cfg: Config, cells: Sequence[Cell]) -> int:
    """Cells whose drawn rows, labels and pseudolabels take up to 1/8 of the limit, at least one."""
    return max(1, limit(cfg) // 8 // _drawn(cells))


def for_blocks(cfg: Config, n_rows: int, cells: Sequence[Cell]) -> int:
    """What the limit leaves for heads by blocks, in bytes. n_rows: of the data set."""
    return limit(cfg) - LISTED * n_rows - max(limit(cfg) // 8, _drawn(cells))


def _drawn(cells: Sequence[Cell]) -> int:
    """Most bytes of the rows that one of the cells draws."""
    requests = [cell.request for cell in cells]
    return max(1, DRAWN * max(r.n_l + r.n_u + r.n_val for r in requests))


def _check_blocks(
    cfg: Config,
    pool: Pool,
    cells: Sequence[Cell],
    pairs: Sequence[Mapping[str, int]],
    error: MemoryLimitError,
) -> None:
    """InputError where a method has a head on many rows that passes over blocks do not solve.

    error: what is lacking without blocks.
    """
    methods = cfg.resolved(pairs[0])
    # Distances between all rows are not read by blocks.
    without = {_base(name) for name, method in methods.items() if method.needs_neighbours}
    lacking: list[MemoryLimitError] = []
    room = for_blocks(cfg, len(pool.y), cells)

    def divide(shapes: Shapes, asked: Mapping[Key, Sequence[Problem]]) -> None:
        for (_, name), problems in asked.items():
            try:
                streamed.divided(shapes, with_loss(problems, cfg.ridge), room)
            except NoBlocksError:
                without.add(_base(name))
            except MemoryLimitError as least:
                lacking.append(least)

    for own in _of_each_size(cells):
        for widths in pairs:
            _rehearse(cfg, pool, own, widths, divide)
    if without:
        raise _no_blocks(cfg, error, without)
    if lacking:
        least = max(lacking, key=lambda error: error.need)
        need = least.need + LISTED * len(pool.y)
        need = max(need * 8 // 7, need + _drawn(cells))
        raise too_small(cfg, MemoryLimitError(limit(cfg), least.what, need))


def _of_each_size(cells: Sequence[Cell]) -> list[list[Cell]]:
    """A cell of each n_l and n_u."""
    return [[cell] for cell in {(c.request.n_l, c.request.n_u): c for c in cells}.values()]


def _base(name: str) -> str:
    """The method that a variant is one of, such as selective of selective[keep=0.3]."""
    return name.partition("[")[0]


def _no_blocks(cfg: Config, error: MemoryLimitError, without: set[str]) -> InputError:
    """The sentence on methods that have no blocked form. without: their names."""
    rest = [name for name in cfg.methods if name not in without]
    while lost := [name for name in rest if not set(cfg.methods[name].needs) <= set(rest)]:
        rest = [name for name in rest if name not in lost]
    need, names = _gb(error), ", ".join(sorted(without))
    remedy = f", or methods=[{','.join(rest)}], which are" if rest else ""
    return InputError(
        f"memory_limit_gb={cfg.memory_limit_gb:g} is too small: {error.what} {need:g} GB, and "
        f"heads of {names} are not solved by blocks of rows; set memory_limit_gb={need:g} or "
        f"more{remedy}"
    )


def too_small(cfg: Config, error: MemoryLimitError) -> InputError:
    """The sentence of the error with the limit as the configuration has it."""
    need = _gb(error)
    return InputError(
        f"memory_limit_gb={cfg.memory_limit_gb:g} is too small: {error.what} {need:g} GB; set "
        f"memory_limit_gb={need:g} or more, or lower n_l or n_u"
    )


def _gb(error: MemoryLimitError) -> float:
    """GB that would be enough, in two digits."""
    return math.ceil(100 * error.need / GB) / 100


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

    def divide(shapes: Shapes, asked: Mapping[Key, Sequence[Problem]]) -> None:
        every = [problem for problems in asked.values() for problem in problems]
        work.divided(shapes, with_loss(every, cfg.ridge), need)

    for cells in blocks:
        for widths in pairs:
            while True:
                try:
                    _rehearse(cfg, pool, cells, widths, divide)
                    break
                except MemoryLimitError as error:
                    # Its traceback would hold the draws of this rehearsal through the next.
                    largest, need = error.with_traceback(None), error.need
    return largest


def _rehearse(
    cfg: Config,
    pool: Pool,
    cells: Sequence[Cell],
    widths: Mapping[str, int],
    divide: Callable[[Shapes, Mapping[Key, Sequence[Problem]]], None],
) -> None:
    """Call `divide` with the problems that the methods of the cells ask for at a time."""
    shapes = {side: (len(pool.y), width) for side, width in widths.items()}
    answers = {side: _labels(pool, width) for side, width in widths.items()}

    def fit(asked: Mapping[Key, Sequence[Problem]]) -> dict[Key, list[Solved]]:
        divide(shapes, asked)
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
