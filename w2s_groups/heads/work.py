"""What a call of the solver has to do: tasks by how they are solved, checked beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import MemoryLimitError, unknown_name
from w2s_groups.heads.blocking import Block, Task, gather, tasks_of
from w2s_groups.heads.checks import check, check_features, check_init
from w2s_groups.heads.problem import GCE, Confidence, CrossEntropy, Problem, Squared
from w2s_groups.heads.ridge_batch import ridge_bytes
from w2s_groups.heads.ridge_groups import Group, groups_of

Features = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be solved, and how. tasks: all; the lists of some: those

    - with one class, whose head is known (`constant`),
    - that descend in blocks (`blocks`), cross-entropy from zero,
    - that begin Newton steps at a head that is given (`given`),
    - that begin at the answer of another task, which nobody need have asked for (`after`),
    - in closed form (`ridges`).
    """

    tasks: list[Task]
    constant: list[Task]
    blocks: list[Block]
    given: list[Task]
    after: list[tuple[Task, Task]]
    ridges: list[tuple[str, list[Group]]]

    @property
    def newton(self) -> list[Task]:
        """Those that Newton steps end, in their order."""
        of_blocks = [task for block in self.blocks for task in block.tasks]
        return [*of_blocks, *self.given, *(task for task, _ in self.after)]


def prepare(features: Features, problems: Sequence[Problem], memory_limit: int) -> Work:
    """The work of `solve.solve`, checked: InputError for bad input."""
    for problem in problems:
        if problem.side not in features:
            raise unknown_name("side", problem.side, features)
        check(problem, np.shape(features[problem.side]))
        check_init(problem, features[problem.side].shape[1])
    for side in {problem.side for problem in problems}:
        check_features(side, features[side])
    return divided({side: X.shape for side, X in features.items()}, problems, memory_limit)


def divided(
    shapes: Mapping[str, tuple[int, ...]], problems: Sequence[Problem], memory_limit: int
) -> Work:
    """How `solve.solve` divides problems on features of these shapes (N, d), by side.

    MemoryLimitError where one step needs more than memory_limit bytes.
    """
    first = {
        k: replace(problem, loss=CrossEntropy(), init=None)
        for k, problem in enumerate(problems)
        if isinstance(problem.loss, GCE)
        or (isinstance(problem.loss, Confidence) and problem.init is None)
    }
    tasks = tasks_of([*problems, *first.values()])
    of = {position: task for task in tasks for position in task.positions}
    begin = {of[k]: of[len(problems) + i] for i, k in enumerate(first)}
    ridges = _ridges(
        [task for task in tasks if isinstance(task.problem.loss, Squared)], shapes, memory_limit
    )
    others = [task for task in tasks if not isinstance(task.problem.loss, Squared)]
    constant = [task for task in others if len(task.present) == 1]
    rest = [task for task in others if len(task.present) > 1]
    known = [t for t in rest if t.problem.init is not None or t.problem.centre is not None]
    blocks = gather(
        [task for task in rest if task not in begin and task not in known],
        {side: shape[0] for side, shape in shapes.items()},
        {side: shape[1] for side, shape in shapes.items()},
        memory_limit,
    )
    given = [task for task in known if task not in begin]
    after = [(task, begin[task]) for task in rest if task in begin]
    return Work(tasks, constant, blocks, given, after, ridges)


def _ridges(
    tasks: Sequence[Task], shapes: Mapping[str, tuple[int, ...]], memory_limit: int
) -> list[tuple[str, list[Group]]]:
    """Groups of ridge heads by side; MemoryLimitError where their kernels do not fit."""
    sides = dict.fromkeys(task.problem.side for task in tasks)
    found = [
        (side, groups_of([task for task in tasks if task.problem.side == side])) for side in sides
    ]
    for side, groups in found:
        need = ridge_bytes(groups, shapes[side][0], shapes[side][1], memory_limit)
        if need > memory_limit:
            what = f"ridge heads on the {side} features need"
            raise MemoryLimitError(memory_limit, what, need)
    return found
