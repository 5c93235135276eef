"""Heads on more rows than memory holds: what they need, and which way each is solved.

Rows that fit are gathered and go to `solve.solve`. Cross-entropy and ridge heads on more rows are
solved by passes over blocks of them (`streamed_logistic`, `streamed_ridge`), to the same accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.core.mapped import gather
from w2s_groups.heads import solve as in_memory
from w2s_groups.heads import streamed_logistic, streamed_ridge, work
from w2s_groups.heads.blocking import Task, tasks_of
from w2s_groups.heads.checks import check, check_init
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, Squared, constant_head

Shapes = Mapping[str, tuple[int, ...]]


class NoBlocksError(InputError):
    """A head that has no blocked form does not fit into memory."""


@dataclass(frozen=True, eq=False)
class Division:
    """Tasks that share rows, by how they are solved: on their own rows in memory, or by passes."""

    constant: list[Task]
    gathered: list[list[Task]]
    passes: list[list[Task]]


def divided(shapes: Shapes, problems: Sequence[Problem], memory_limit: int) -> Division:
    """How `solve` divides problems on features of these shapes (N, d), by side.

    MemoryLimitError where blocks do not fit into memory_limit bytes, NoBlocksError where rows do
    not fit and their loss has no blocked form.
    """
    constant: list[Task] = []
    sets: dict[tuple[str, bytes, object], list[Task]] = {}
    for task in tasks_of(problems):
        p = task.problem
        if len(task.present) == 1 and not isinstance(p.loss, Squared):
            constant.append(task)
        else:
            sets.setdefault((p.side, task.rows.tobytes(), type(p.loss)), []).append(task)
    found = Division(constant, [], [])
    for (side, *_), tasks in sets.items():
        width = shapes[side][1]
        error = _lack(tasks, width, memory_limit // 2)
        if error is None:
            found.gathered.append(tasks)
            continue
        loss = tasks[0].problem.loss
        if not isinstance(loss, CrossEntropy | Squared):
            raise NoBlocksError(f"{error}; passes over blocks of rows do not solve {loss}")
        solver = streamed_ridge if isinstance(loss, Squared) else streamed_logistic
        need = solver.least_bytes(tasks, width)
        if need > memory_limit:
            what = f"heads on {len(tasks[0].rows)} rows, by blocks of rows, need"
            raise MemoryLimitError(memory_limit, what, need)
        found.passes.append(tasks)
    return found


def _lack(tasks: Sequence[Task], width: int, memory_limit: int) -> MemoryLimitError | None:
    """What is lacking to solve tasks on the same rows (n,) of `width` features in memory."""
    n, side = len(tasks[0].rows), tasks[0].problem.side
    own = 8 * n * width  # the rows in float32, and what is checked of them
    if own > memory_limit:
        return MemoryLimitError(memory_limit, f"one {side} head on {n} rows needs", 4 * own)
    try:
        work.divided({side: (n, width)}, [_on_own_rows(t) for t in tasks], memory_limit - own)
    except MemoryLimitError as error:
        return MemoryLimitError(memory_limit, error.what, error.need + own)
    return None


def _on_own_rows(task: Task) -> Problem:
    """The problem on the matrix of its own rows."""
    p = task.problem
    return replace(p, rows=np.searchsorted(task.rows, p.rows))


def solve(
    features: Mapping[str, Any],
    problems: Sequence[Problem],
    *,
    tol: float = 1e-6,
    memory_limit: int = in_memory.MEMORY_LIMIT,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Head]:
    """Head of every problem, in order, as `solve.solve` gives them.

    features: side -> (N, d) rows, finite, of a matrix in memory, a memory map or `mapped.Stored`.
    memory_limit: bytes for everything but the problems themselves. Raises InputError as there.
    """
    shapes = {side: X.shape for side, X in features.items()}
    for problem in problems:
        check(problem, shapes[problem.side])
        check_init(problem, shapes[problem.side][1])
    division = divided(shapes, problems, memory_limit)
    heads: dict[int, Head] = {}

    def ended(tasks: Sequence[Task], found: Sequence[Head]) -> None:
        for task, head in zip(tasks, found, strict=True):
            heads.update(dict.fromkeys(task.positions, head))
        if progress is not None:
            progress(len(heads), len(problems))

    for task in division.constant:
        n_classes = task.problem.targets.shape[1]
        width = shapes[task.problem.side][1]
        ended([task], [constant_head(width, n_classes, task.present)])
    for tasks in division.gathered:
        side = tasks[0].problem.side
        own = {side: gather(features[side], tasks[0].rows)}
        asked = [_on_own_rows(task) for task in tasks]
        found = in_memory.solve(own, asked, tol=tol, memory_limit=memory_limit, device=device)
        ended(tasks, found)
    for tasks in division.passes:
        squared = isinstance(tasks[0].problem.loss, Squared)
        solver = streamed_ridge if squared else streamed_logistic
        X = features[tasks[0].problem.side]
        ended(tasks, solver.solve(X, tasks, tol, memory_limit))
    return [heads[position] for position in range(len(problems))]
