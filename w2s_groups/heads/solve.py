"""All heads of an η grid at once: each the answer of its own problem, whatever its company.

The squared loss goes to `ridge_grid`. Cross-entropy heads descend together in blocks of shared rows
(`batch`), until each is near its optimum; Newton steps on a head's own rows end it (`newton`).
Losses that are not convex begin at the cross-entropy solution of the same problem.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.heads.blocking import Block, Task, gather, tasks_of
from w2s_groups.heads.ending import Ending, together
from w2s_groups.heads.kernels import Kernels
from w2s_groups.heads.problem import (
    GCE,
    Confidence,
    CrossEntropy,
    Head,
    Problem,
    Squared,
    check,
    check_features,
    check_init,
    constant_head,
    linear,
)
from w2s_groups.heads.ridge_batch import ridge, ridge_bytes
from w2s_groups.heads.ridge_groups import Group, groups_of

MEMORY_LIMIT = 2 * 2**30
KERNELS = 8  # share of the memory limit, 1/8, for kernels of rows that come again

Features = Mapping[str, NDArray[np.floating]]


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
    work = _prepare(features, problems, memory_limit)
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
    work = _prepare(features, problems, memory_limit)
    ended = _counter(progress, len(problems))
    sets: dict[str, list[NDArray[np.int64]]] = {}
    for task in work.newton:
        sets.setdefault(task.problem.side, []).append(task.rows)
    kernels = (kernels or Kernels(memory_limit // KERNELS)).of(features, sets)
    ending = Ending(features, tol, memory_limit, device, kernels, ended)
    return itertools.chain(
        *(
            _solved(ridge(features[side], groups, tol, memory_limit, device), ended)
            for side, groups in work.ridges
        ),
        _run(features, work, ending, len(problems)),
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


@dataclass(frozen=True, eq=False)
class _Work:
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


def _prepare(features: Features, problems: Sequence[Problem], memory_limit: int) -> _Work:
    for problem in problems:
        if problem.side not in features:
            raise unknown_name("side", problem.side, features)
        check(problem, np.shape(features[problem.side]))
        check_init(problem, features[problem.side].shape[1])
    for side in {problem.side for problem in problems}:
        check_features(side, features[side])
    first = {
        k: replace(problem, loss=CrossEntropy(), init=None)
        for k, problem in enumerate(problems)
        if isinstance(problem.loss, GCE)
        or (isinstance(problem.loss, Confidence) and problem.init is None)
    }
    tasks = tasks_of([*problems, *first.values()])
    of = {position: task for task in tasks for position in task.positions}
    begin = {of[k]: of[len(problems) + i] for i, k in enumerate(first)}
    shapes = {side: X.shape for side, X in features.items()}
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
    return _Work(tasks, constant, blocks, given, after, ridges)


def _ridges(
    tasks: Sequence[Task], shapes: Mapping[str, tuple[int, ...]], memory_limit: int
) -> list[tuple[str, list[Group]]]:
    """Groups of ridge heads by side; InputError where their kernels do not fit."""
    sides = dict.fromkeys(task.problem.side for task in tasks)
    found = [
        (side, groups_of([task for task in tasks if task.problem.side == side])) for side in sides
    ]
    for side, groups in found:
        need = ridge_bytes(groups, shapes[side][0], shapes[side][1], memory_limit)
        if need > memory_limit:
            raise InputError(
                f"memory_limit={memory_limit} bytes is too small: ridge heads on the {side} "
                f"features need {need}; raise it to at least that"
            )
    return found


def _run(
    features: Features,
    work: _Work,
    ending: Ending,
    n_problems: int,
) -> Iterator[Solved]:
    """Solved tasks in an order that answers what others begin with first."""
    begun = {start for _, start in work.after}
    # The path of GCE solves its first head by itself, so one that nobody asked for may be near it.
    whole = {start for task, start in work.after if isinstance(task.problem.loss, Confidence)}
    rough = {start for start in begun - whole if start.positions[0] >= n_problems}
    answers: dict[Task, Head] = {}

    def deliver(
        tasks: Sequence[Task], found: Sequence[tuple[Head, int]], flops: float = 0.0
    ) -> Solved:
        answers.update(
            {task: head for task, (head, _) in zip(tasks, found, strict=True) if task in begun}
        )
        asked = [
            (position, *own)
            for task, own in zip(tasks, found, strict=True)
            for position in task.positions
            if position < n_problems
        ]
        positions, heads, steps = zip(*asked, strict=True) if asked else ((), (), ())
        return Solved(list(positions), list(heads), np.array(steps, dtype=np.int64), flops)

    if work.constant:
        heads = [
            constant_head(
                features[task.problem.side].shape[1], task.problem.targets.shape[1], task.present
            )
            for task in work.constant
        ]
        ending.ended(work.constant)
        yield deliver(work.constant, [(head, 0) for head in heads])
    # A path of l2 goes from large to small, each head from the one before.
    on_path = Counter(task.but_l2 for block in work.blocks for task in block.tasks)
    before: dict[bytes, Head] = {}
    for block in sorted(work.blocks, key=lambda block: -block.l2):
        near = ending.descend(block, [before.get(task.but_l2) for task in block.tasks])
        for task, head in zip(block.tasks, near, strict=True):
            if on_path[task.but_l2] > 1:
                before[task.but_l2] = head
            if task in rough:
                answers[task] = head
        exact = [k for k, task in enumerate(block.tasks) if task not in rough]
        if exact:
            tasks = [block.tasks[k] for k in exact]
            found = ending.finish(tasks, [near[k] for k in exact])
            yield deliver(tasks, found, ending.spent())
    for tasks in together(work.given):
        begin = [linear(task.problem.init) or linear(task.problem.centre) for task in tasks]
        found = ending.finish(tasks, [head for head in begin if head is not None])
        yield deliver(tasks, found, ending.spent())
    of = dict(work.after)
    for tasks in together(list(of)):
        found = ending.finish(tasks, [answers[of[task]] for task in tasks])
        yield deliver(tasks, found, ending.spent())
