"""Ridge tasks that share rows, weights and l2, and which of them go through one matrix together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from w2s_groups.heads.blocking import Task
from w2s_groups.heads.problem import Squared

COLUMNS = 512  # targets solved together, of one set or of neighbouring ones


@dataclass(eq=False)
class Group:
    """Tasks that share rows, weights and candidates for l2."""

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    path: tuple[float, ...]
    tasks: list[Task] = field(default_factory=list)

    @property
    def uniform(self) -> bool:
        return bool(np.ptp(self.weights) <= 1e-15)

    @property
    def columns(self) -> int:
        return sum(task.K for task in self.tasks)


def groups_of(tasks: Sequence[Task]) -> list[Group]:
    """Tasks by what they share, in order of first appearance."""
    groups: dict[tuple[object, ...], Group] = {}
    for task in tasks:
        loss = task.problem.loss
        path = (loss.l2_path if isinstance(loss, Squared) else ()) or (task.problem.l2,)
        key = (task.rows.tobytes(), task.weights.tobytes(), task.K, path)
        groups.setdefault(key, Group(task.rows, task.weights, path)).tasks.append(task)
    return list(groups.values())


def batches(
    groups: Sequence[Group], memory_limit: int
) -> list[tuple[NDArray[np.int64], list[Group]]]:
    """Neighbours that share one kernel over the union of their rows, and that union.

    A set joins while enlarging the kernel is no more work than a kernel of its own, and while the
    kernel takes at most a quarter of the memory.
    """
    batches: list[tuple[NDArray[np.int64], list[Group]]] = []
    for group in groups:
        if batches:
            union, members = batches[-1]
            joint = np.union1d(union, group.rows)
            more = len(joint) ** 2 - len(union) ** 2
            if more <= len(group.rows) ** 2 and 4 * 8 * len(joint) ** 2 <= memory_limit:
                batches[-1] = (joint, [*members, group])
                continue
        batches.append((group.rows, [group]))
    return batches


def waves(groups: Sequence[Group]) -> list[list[Group]]:
    """Neighbours whose targets go through the union of their rows together.

    A set joins while the union is at most twice any set's rows and the targets fill COLUMNS.
    """
    waves: list[list[Group]] = []
    union, least, columns = np.empty(0, dtype=np.int64), 0, 0
    for group in groups:
        joint = np.union1d(union, group.rows)
        least, columns = min(least, len(group.rows)), columns + group.columns
        if waves and len(joint) <= 2 * least and columns <= COLUMNS:
            waves[-1].append(group)
            union = joint
        else:
            waves.append([group])
            union, least, columns = group.rows, len(group.rows), group.columns
    return waves


def parts(tasks: Sequence[Task]) -> list[list[int]]:
    """Positions of the tasks, cut where their targets fill COLUMNS columns."""
    each = max(1, COLUMNS // tasks[0].K)
    return [list(range(k, min(k + each, len(tasks)))) for k in range(0, len(tasks), each)]
