"""All heads of an η grid at once: the same solutions as `logistic.fit`, block by block.

The squared loss goes to `ridge_grid`; the others descend together in blocks of shared rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from w2s_groups.errors import InputError, unknown_name
from w2s_groups.heads.batch import Batch, Descent
from w2s_groups.heads.blocks import Block, Task, expand, gather, tasks_of
from w2s_groups.heads.problem import (
    Head,
    Problem,
    Squared,
    check,
    check_features,
    check_init,
    constant_head,
    linear,
    units,
)
from w2s_groups.heads.ridge_grid import Group, groups_of, ridge, ridge_bytes

MEMORY_LIMIT = 2 * 2**30
FLOAT32_FLOOR = 4e-9  # gradients below this drown in float32 products; float64 takes over
FLOAT32_LIMIT, FLOAT64_LIMIT = 1_000, 5_000  # iterations

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
    tasks, blocks, ridges = _prepare(features, problems, memory_limit)
    peaks = [block.bytes(features[block.side].shape[1]) for block in blocks]
    peaks += [
        ridge_bytes(groups, len(features[side]), features[side].shape[1], memory_limit)
        for side, groups in ridges
    ]
    return Plan(len(problems), len(tasks), len(blocks), max(peaks, default=0))


def solve(
    features: Features,
    problems: Sequence[Problem],
    *,
    tol: float = 1e-7,
    memory_limit: int = MEMORY_LIMIT,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Head]:
    """Head of every problem, in order. features: side -> (N, d), finite, float32 or float64.

    Each head's gradient, taken in float64 on its own rows and in the units of `problem.units`, has
    no entry above `tol`, so what shares its block moves a convex solution by less than
    2 tol √D / l2 there. progress(done, total) is called as heads end their descent, in problems.
    Raises InputError for bad input before the first block.
    """
    heads: list[Head | None] = [None] * len(problems)
    for solved in iterate(
        features, problems, tol=tol, memory_limit=memory_limit, device=device, progress=progress
    ):
        for position, head in zip(solved.positions, solved.heads, strict=True):
            heads[position] = head
    return [head for head in heads if head is not None]


def iterate(
    features: Features,
    problems: Sequence[Problem],
    *,
    tol: float = 1e-7,
    memory_limit: int = MEMORY_LIMIT,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Solved]:
    """As `solve`, handing over each block as it is finished: an interrupt loses only the next.

    progress runs ahead of the blocks: a head whose descent has ended waits for those beside it.
    """
    if not tol > 0:
        raise InputError(f"tol={tol} must be positive")
    tasks, blocks, ridges = _prepare(features, problems, memory_limit)
    ended = _counter(progress, len(problems))
    return itertools.chain(
        *(
            _solved(ridge(features[side], groups, tol, memory_limit, device), ended)
            for side, groups in ridges
        ),
        _run(features, tasks, blocks, tol, device, ended),
    )


def _counter(
    progress: Callable[[int, int], None] | None, total: int
) -> Callable[[Iterable[Task]], None]:
    """What counts ended tasks in the problems that asked for them."""
    done = 0

    def ended(tasks: Iterable[Task]) -> None:
        nonlocal done
        done += sum(len(task.positions) for task in tasks)
        if progress is not None:
            progress(done, total)

    return ended


def _solved(
    found: Iterator[tuple[list[Task], list[Head]]], ended: Callable[[Iterable[Task]], None]
) -> Iterator[Solved]:
    for tasks, heads in found:
        ended(tasks)
        yield _deliver(tasks, heads, np.zeros(len(heads), dtype=np.int64), 0.0)


def _prepare(
    features: Features, problems: Sequence[Problem], memory_limit: int
) -> tuple[list[Task], list[Block], list[tuple[str, list[Group]]]]:
    for problem in problems:
        if problem.side not in features:
            raise unknown_name("side", problem.side, features)
        check(problem, np.shape(features[problem.side]))
        check_init(problem, features[problem.side].shape[1])
    for side in {problem.side for problem in problems}:
        check_features(side, features[side])
    tasks = tasks_of(problems)
    shapes = {side: X.shape for side, X in features.items()}
    closed = [task for task in tasks if isinstance(task.problem.loss, Squared)]
    sides = dict.fromkeys(task.problem.side for task in closed)
    ridges = [
        (side, groups_of([task for task in closed if task.problem.side == side])) for side in sides
    ]
    for side, groups in ridges:
        need = ridge_bytes(groups, shapes[side][0], shapes[side][1], memory_limit)
        if need > memory_limit:
            raise InputError(
                f"memory_limit={memory_limit} bytes is too small: ridge heads on the {side} "
                f"features need {need}; raise it to at least that"
            )
    blocks = gather(
        [task for task in tasks if not isinstance(task.problem.loss, Squared)],
        {side: shape[0] for side, shape in shapes.items()},
        {side: shape[1] for side, shape in shapes.items()},
        memory_limit,
    )
    return tasks, blocks, ridges


def _run(
    features: Features,
    tasks: list[Task],
    blocks: list[Block],
    tol: float,
    device: str,
    ended: Callable[[Iterable[Task]], None],
) -> Iterator[Solved]:
    constant = [task for task in tasks if len(task.present) == 1]
    if constant:
        ended(constant)
        yield _deliver(
            constant,
            [
                constant_head(
                    features[task.problem.side].shape[1],
                    task.problem.targets.shape[1],
                    task.present,
                )
                for task in constant
            ],
            np.zeros(len(constant), dtype=np.int64),
            0.0,
        )
    scales: dict[tuple[str, float], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for block in blocks:
        key = (block.side, block.l2)
        if key not in scales:
            scales[key] = units(features[block.side], block.l2)
        yield _solve_block(features[block.side], block, *scales[key], tol, device, ended)


def _deliver(
    tasks: list[Task], heads: list[Head], iterations: NDArray[np.int64], flops: float
) -> Solved:
    positions = [position for task in tasks for position in task.positions]
    repeated = [head for task, head in zip(tasks, heads, strict=True) for _ in task.positions]
    return Solved(positions, repeated, iterations, flops)


def _solve_block(
    X: NDArray[np.floating],
    block: Block,
    mean: NDArray[np.float64],
    unit: NDArray[np.float64],
    tol: float,
    device: str,
    ended: Callable[[Iterable[Task]], None],
) -> Solved:
    D = X.shape[1] + 1
    A = np.ones((len(block.rows), D))
    np.subtract(X[block.rows], mean, out=A[:, :-1])
    A[:, :-1] /= unit
    A64 = torch.as_tensor(A, device=device)
    penalty = torch.as_tensor(np.append(block.l2 / unit**2, 0.0), device=device)
    targets, weights = (torch.as_tensor(a, device=device) for a in expand(block))
    start = torch.as_tensor(_starts(block, mean, unit), device=device)
    fast = Descent(A64.to(torch.float32), penalty, block.loss, block.K)
    V, _, iterations = fast.minimise(
        Batch(start, targets, weights),
        max(0.7 * tol, FLOAT32_FLOOR),
        FLOAT32_LIMIT,
        lambda index: ended(block.tasks[i] for i in index.tolist()),
    )
    exact = Descent(A64, penalty, block.loss, block.K, before=fast)
    _, R = exact.evaluate(exact.logits(V), targets, weights)
    norms = exact.gradient(R, V).abs().amax(1)
    late = ~(norms <= tol)
    if bool(late.any()):
        V[late], reached, more = exact.minimise(
            Batch(V[late], targets[late], weights[late]), tol, FLOAT64_LIMIT
        )
        iterations[late] += more
        if not bool(reached.all()):
            missed = late.nonzero()[~reached].flatten().tolist()
            raise InputError(
                f"tol={tol} was not reached by {len(missed)} of {len(V)} {block.side} heads of "
                f"{block.loss} at l2={block.l2:g}, the first of them on "
                f"{len(block.tasks[missed[0]].rows)} rows; raise tol or l2"
            )
    theta = V.view(len(block.tasks), block.K, D).cpu().numpy()
    heads = [_head(task, theta[i], mean, unit) for i, task in enumerate(block.tasks)]
    return _deliver(block.tasks, heads, iterations.cpu().numpy(), fast.flops + exact.flops)


def _columns(task: Task) -> NDArray[np.int64]:
    """Columns of a Head that the task's K logits fill."""
    return task.present if task.problem.targets.shape[1] > 2 else np.array([0])


def _starts(
    block: Block, mean: NDArray[np.float64], unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(P, K·D) starting points in centred, scaled features."""
    starts = np.zeros((len(block.tasks), block.K, len(mean) + 1))
    for start, task in zip(starts, block.tasks, strict=True):
        init = linear(task.problem.init)
        if init is not None:
            coef, intercept = init.coef[:, _columns(task)], init.intercept[_columns(task)]
            start[:, :-1] = (coef * unit[:, None]).T
            start[:, -1] = intercept + mean @ coef
    return starts.reshape(len(block.tasks), -1)


def _head(
    task: Task, theta: NDArray[np.float64], mean: NDArray[np.float64], unit: NDArray[np.float64]
) -> Head:
    """Head in the features' own units from theta (K, D)."""
    head = constant_head(len(mean), task.problem.targets.shape[1], task.present)
    coef = theta[:, :-1].T / unit[:, None]
    intercept = theta[:, -1] - mean @ coef
    head.coef[:, _columns(task)] = coef
    # Softmax leaves a common shift of the intercepts free: centre them, as the reference does.
    head.intercept[_columns(task)] = intercept - (intercept.mean() if len(intercept) > 1 else 0)
    return head
