"""All heads of an η grid at once: each the answer of its own problem, whatever its company.

The squared loss goes to `ridge_batch`. Cross-entropy heads descend together in blocks of shared
rows (`lbfgs_batch`), until each is near its optimum; Newton steps on a head's own rows end it
(`newton`).
Losses that are not convex begin at the cross-entropy solution of the same problem.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.heads.blocking import Task
from w2s_groups.heads.ending import Ending, together
from w2s_groups.heads.kernels import Kernels
from w2s_groups.heads.problem import Confidence, Head, Problem, constant_head, linear
from w2s_groups.heads.ridge_batch import ridge, ridge_bytes
from w2s_groups.heads.work import Features, Work, prepare

MEMORY_LIMIT = 2 * 2**30
KERNELS = 8  # share of the memory limit, 1/8, for kernels of rows that come again


@dataclass(frozen=True)
class Plan:
    """What a run will take. bytes: peak working memory beyond the features themselves.

    n_blocks: of heads solved by descent; ridge heads go set by set.
    """

    n_problems: int
    n_distinct: int
    n_blocks: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Solved:
    """Heads of one finished block. positions: indices into the problems, heads in that order.

    iterations: (heads,) of each distinct head; flops: of the block's matrix products.
    """

    positions: list[int]
    heads: list[Head]
    iterations: NDArray[np.int64]
    flops: float


def plan(features: Features, problems: Sequence[Problem], memory_limit: int = MEMORY_LIMIT) -> Plan:
    """Number of distinct heads, blocks and peak bytes of `solve`, without solving."""
    work = prepare(features, problems, memory_limit)
    peaks = [block.bytes(features[block.side].shape[1]) for block in work.blocks]
    peaks += [
        ridge_bytes(groups, len(features[side]), features[side].shape[1], memory_limit)
        for side, groups in work.ridges
    ]
    asked = sum(task.positions[0] < len(problems) for task in work.tasks)
    return Plan(len(problems), asked, len(work.blocks), max(peaks, default=0))


def solve(
    features: Features,
    problems: Sequence[Problem],
    *,
    tol: float = 1e-6,
    memory_limit: int = MEMORY_LIMIT,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    kernels: Kernels | None = None,
) -> list[Head]:
    """Head of every problem, in order. features: side -> (N, d), finite, float32 or float64.

    A head is solved once a Newton step in float64 moves no logit of its rows by more than `tol`,
    and takes that step: about a thousandth of tol is left, whatever else is solved with it. A ridge
    head's gradient has no entry above tol in the units of `problem.units`, and a thousandth of it
    where float64 allows that.
    progress(done, total) is called as heads are solved, in problems. kernels: kept from call to
    call with the same features. Raises InputError for bad input before the first block.
    """
    heads: list[Head | None] = [None] * len(problems)
    for solved in iterate(
        features,
        problems,
        tol=tol,
        memory_limit=memory_limit,
        device=device,
        progress=progress,
        kernels=kernels,
    ):
        for position, head in zip(solved.positions, solved.heads, strict=True):
            heads[position] = head
    return [head for head in heads if head is not None]


def iterate(
    features: Features,
    problems: Sequence[Problem],
    *,
    tol: float = 1e-6,
    memory_limit: int = MEMORY_LIMIT,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    kernels: Kernels | None = None,
) -> Iterator[Solved]:
    """As `solve`, handing over each block as it is finished: an interrupt loses only the next."""
    if not tol > 0:
        raise InputError(f"tol={tol} must be positive")
    work = prepare(features, problems, memory_limit)
    ended = _counter(progress, len(problems))
    sets: dict[str, list[NDArray[np.int64]]] = {}
    for task in work.newton:
        sets.setdefault(task.problem.side, []).append(task.rows)
    kernels = (kernels or Kernels(memory_limit // KERNELS)).of(features, sets)
    used = {side: np.unique(np.concatenate(rows)) for side, rows in sets.items()}
    ending = Ending(features, tol, memory_limit, device, kernels, used, ended)
    return itertools.chain(
        *(
            _solved(ridge(features[side], groups, tol, memory_limit, device), ended)
            for side, groups in work.ridges
        ),
        _Run(features, work, ending, len(problems)).solved(),
    )


def _counter(
    progress: Callable[[int, int], None] | None, total: int
) -> Callable[[Iterable[Task]], None]:
    """What counts ended tasks in the problems that asked for them."""
    done = 0

    def ended(tasks: Iterable[Task]) -> None:
        nonlocal done
        done += sum(position < total for task in tasks for position in task.positions)
        if progress is not None:
            progress(done, total)

    return ended


def _solved(
    found: Iterator[tuple[list[Task], list[Head]]], ended: Callable[[Iterable[Task]], None]
) -> Iterator[Solved]:
    for tasks, heads in found:
        ended(tasks)
        positions = [position for task in tasks for position in task.positions]
        each = [head for task, head in zip(tasks, heads, strict=True) for _ in task.positions]
        yield Solved(positions, each, np.zeros(len(each), dtype=np.int64), 0.0)


class _Run:
    """Solves tasks in an order in which what others begin with comes first."""

    def __init__(self, features: Features, work: Work, ending: Ending, n_problems: int) -> None:
        self.features, self.work, self.ending = features, work, ending
        self.n_problems = n_problems
        self.begun = {start for _, start in work.after}
        self.answers: dict[Task, Head] = {}

    def solved(self) -> Iterator[Solved]:
        """Everything, a part at a time."""
        if self.work.constant:
            yield self._constant()
        yield from self._blocks()
        for tasks in together(self.work.given):
            begin = [linear(task.problem.init) or linear(task.problem.centre) for task in tasks]
            yield self._finish(tasks, [head for head in begin if head is not None])
        of = dict(self.work.after)
        for tasks in together(list(of)):
            yield self._finish(tasks, [self.answers[of[task]] for task in tasks])

    def _constant(self) -> Solved:
        heads = []
        for task in self.work.constant:
            width, n_classes = (
                self.features[task.problem.side].shape[1],
                task.problem.targets.shape[1],
            )
            heads.append((constant_head(width, n_classes, task.present), 0))
        self.ending.ended(self.work.constant)
        return self._deliver(self.work.constant, heads)

    def _blocks(self) -> Iterator[Solved]:
        """Descents, and the end of those that are wanted to the tolerance."""
        work = self.work
        # The path of GCE solves its own first head: one that nobody asked for may be only near.
        whole = {start for task, start in work.after if isinstance(task.problem.loss, Confidence)}
        rough = {s for s in self.begun - whole if s.positions[0] >= self.n_problems}
        # A path of l2 goes from large to small, each head from the one before.
        on_path = Counter(task.but_l2 for block in work.blocks for task in block.tasks)
        before: dict[bytes, Head] = {}
        for block in sorted(work.blocks, key=lambda block: -block.l2):
            near = self.ending.descend(block, [before.get(task.but_l2) for task in block.tasks])
            start = dict(zip(block.tasks, near, strict=True))
            before |= {task.but_l2: h for task, h in start.items() if on_path[task.but_l2] > 1}
            self.answers |= {task: head for task, head in start.items() if task in rough}
            exact = [task for task in block.tasks if task not in rough]
            if exact:
                yield self._finish(exact, [start[task] for task in exact])

    def _finish(self, tasks: Sequence[Task], starts: Sequence[Head]) -> Solved:
        return self._deliver(tasks, self.ending.finish(tasks, starts), self.ending.spent())

    def _deliver(
        self, tasks: Sequence[Task], found: Sequence[tuple[Head, int]], flops: float = 0.0
    ) -> Solved:
        """What was asked for; heads that others begin with are kept."""
        self.answers |= {
            task: head for task, (head, _) in zip(tasks, found, strict=True) if task in self.begun
        }
        asked = [
            (position, *own)
            for task, own in zip(tasks, found, strict=True)
            for position in task.positions
            if position < self.n_problems
        ]
        positions, heads, steps = zip(*asked, strict=True) if asked else ((), (), ())
        return Solved(list(positions), list(heads), np.array(steps, dtype=np.int64), flops)
