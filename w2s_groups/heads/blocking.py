"""Which heads are solved together: problems as row sets, gathered into blocks of shared rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import MemoryLimitError
from w2s_groups.heads.lbfgs_batch import HISTORY
from w2s_groups.heads.problem import (
    Loss,
    Problem,
    linear,
    n_logits,
    normalised_targets,
    normalised_weights,
    present_classes,
)

# The work estimate, as measured on 512 and 1280 features of networks: iterations of one head in its
# block, how they grow with foreign rows, right-hand sides at which a product has half of its
# full rate, factorisations in a block, and the flops that one iteration's overhead is worth.
ITERATIONS, GROWTH, HALF_RATE, FACTORISATIONS, OVERHEAD = 40, 0.3, 15, 3, 1e8


@dataclass(eq=False)
class Task:
    """One distinct problem: sorted rows without repetition, and every position that asked for it.

    targets: (n, K) over the present classes, or (n, 1) of the second class or a numeric target;
    weights (n,) sum to 1.
    """

    problem: Problem
    present: NDArray[np.int64]
    rows: NDArray[np.int64]
    targets: NDArray[np.float64]
    weights: NDArray[np.float64]
    positions: list[int]

    @property
    def K(self) -> int:
        return int(self.targets.shape[1])

    @cached_property
    def but_l2(self) -> bytes:
        """Digest of what it shares with the same task at another l2."""
        parts = (self.rows, self.targets, self.weights)
        digest = hashlib.blake2b(self.problem.side.encode())
        for part in parts:
            digest.update(part.tobytes())
        return digest.digest()

    @property
    def hard(self) -> bool:
        """Whether every target is a decision: such fits end far sharper than those of soft ones,
        and one preconditioner cannot serve both."""
        return bool(((self.targets == 0) | (self.targets == 1)).all())


@dataclass(eq=False)
class Block:
    """Tasks solved together on the union of their rows."""

    side: str
    loss: Loss
    l2: float
    K: int
    rows: NDArray[np.int64]
    tasks: list[Task] = field(default_factory=list)

    def bytes(self, n_features: int) -> int:
        """Peak working memory, features of the block included."""
        return block_bytes(len(self.rows), n_features + 1, len(self.tasks), self.K)


def block_bytes(m: int, D: int, P: int, K: int) -> int:
    """Peak bytes of P heads with K logits on m rows of D features, from the arrays in `batch`."""
    features = 3 * 8 * m * D  # float64, its float32 copy, and the weighted copy of a product
    preconditioner = 4 * 8 * D * D
    row_arrays = 16 * 8 * m * P * K  # logits, gradients, targets, trial points and temporaries
    parameters = (3 * 4 * (HISTORY + 1) * 2 + 10 * 8) * D * P * K  # history, doubled on a drop
    return features + preconditioner + row_arrays + parameters


def tasks_of(problems: Sequence[Problem]) -> list[Task]:
    """Distinct problems in order of first appearance; equal ones share a task."""
    tasks: dict[bytes, Task] = {}
    sorts: dict[bytes, _Sorted] = {}
    for position, problem in enumerate(problems):
        key = _digest(problem)
        if key in tasks:
            tasks[key].positions.append(position)
            continue
        drawn = problem.rows.tobytes()
        if drawn not in sorts:
            sorts[drawn] = _Sorted.of(problem.rows)
        tasks[key] = _task(problem, position, sorts[drawn])
    return list(tasks.values())


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Distinct rows in order; `where` of each drawn row among them, or the order if none repeats.

    Kept for all problems on the same rows: sorting them is most of a task's preparation.
    """

    rows: NDArray[np.int64]
    where: NDArray[np.intp]
    repeats: bool

    @classmethod
    def of(cls, drawn: NDArray[np.int64]) -> _Sorted:
        rows, where = np.unique(drawn, return_inverse=True)
        repeats = len(rows) < len(drawn)
        return cls(rows, where if repeats else np.argsort(drawn), repeats)


def _digest(problem: Problem) -> bytes:
    digest = hashlib.blake2b(repr((problem.side, problem.loss, problem.l2)).encode())
    init, centre = linear(problem.init), linear(problem.centre, "centre")
    for array in (
        problem.rows,
        problem.targets,
        problem.weights,
        *([None] if init is None else init.arrays()),
        *([None] if centre is None else centre.arrays()),
    ):
        if array is None:
            digest.update(b"none")
        else:
            digest.update(repr((array.shape, array.dtype)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _task(problem: Problem, position: int, drawn: _Sorted) -> Task:
    present = present_classes(problem)
    targets, weights = normalised_targets(problem), normalised_weights(problem)
    columns = present if n_logits(targets.shape[1]) > 1 else np.array([targets.shape[1] - 1])
    rows, where = drawn.rows, drawn.where
    if drawn.repeats:
        # Every loss is linear in its targets, so repeated rows add up to one weighted row.
        total = np.bincount(where, weights, len(rows)).astype(np.float64)
        mixed = np.zeros((len(rows), targets.shape[1]))
        np.add.at(mixed, where, weights[:, None] * targets)
        targets = mixed / np.where(total > 0, total, 1)[:, None]
        targets[total == 0] = 1 / targets.shape[1]
        weights = total
    else:
        targets, weights = targets[where], weights[where]
    return Task(problem, present, rows, targets[:, columns], weights, [position])


def gather(
    tasks: Sequence[Task], n_rows: dict[str, int], n_features: dict[str, int], memory_limit: int
) -> list[Block]:
    """Blocks of at most `memory_limit` bytes: each row set joins where it adds the least work."""
    sets: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        if len(task.present) > 1:
            p = task.problem
            alike = (p.side, p.loss, p.l2, task.K, task.hard)
            sets.setdefault((*alike, task.rows.tobytes()), []).append(task)
    opened: dict[tuple[object, ...], list[_Open]] = {}
    for key, members in sets.items():
        side, K = members[0].problem.side, members[0].K
        D = n_features[side] + 1
        rest = members
        while rest:
            n = len(rest[0].rows)
            room = _room(n, D, K, memory_limit, side)
            part, rest = rest[:room], rest[room:]
            single = _work(n, len(part), n * len(part), D, K)
            best: tuple[float, _Open | None, int] = (single, None, n)
            for block in opened.get(key[:5], []):
                union = block.size + n - int(np.count_nonzero(block.member[part[0].rows]))
                count = len(block.tasks) + len(part)
                if block_bytes(union, D, count, K) > memory_limit:
                    continue
                more = _work(union, count, block.total + n * len(part), D, K) - _work(
                    block.size, len(block.tasks), block.total, D, K
                )
                if more < best[0]:
                    best = (more, block, union)
            chosen = best[1]
            if chosen is None:
                chosen = _Open(np.zeros(n_rows[side], dtype=bool))
                opened.setdefault(key[:5], []).append(chosen)
            chosen.tasks += part
            chosen.member[part[0].rows] = True
            chosen.size, chosen.total = best[2], chosen.total + n * len(part)
    return [block.close() for blocks in opened.values() for block in blocks]


@dataclass(eq=False)
class _Open:
    member: NDArray[np.bool_]
    tasks: list[Task] = field(default_factory=list)
    size: int = 0
    total: int = 0

    def close(self) -> Block:
        p = self.tasks[0].problem
        rows = np.flatnonzero(self.member)
        return Block(p.side, p.loss, p.l2, self.tasks[0].K, rows, self.tasks)


def _room(n: int, D: int, K: int, memory_limit: int, side: str) -> int:
    """How many heads on n rows fit into the limit."""
    one, two = block_bytes(n, D, 1, K), block_bytes(n, D, 2, K)
    if one > memory_limit:
        raise MemoryLimitError(memory_limit, f"one {side} head on {n} rows needs", one)
    return 1 + (memory_limit - one) // (two - one)


def _work(m: int, P: int, total_rows: int, D: int, K: int) -> float:
    """Estimated flops at full rate: factorisation, and iterations that grow with foreign rows."""
    iterations = ITERATIONS * (m * P / total_rows) ** GROWTH
    step = (4.0 * m * D + 2.0 * D * D) * (P * K + HALF_RATE) + OVERHEAD
    return float(FACTORISATIONS * (2.0 * m * D * D + 3.0 * D**3) + iterations * step)


def expand(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dense (P, K, m) targets and (P, 1, m) weights on the block's rows."""
    P, m = len(block.tasks), len(block.rows)
    targets = np.full((P, block.K, m), 1 / max(block.K, 2))
    weights = np.zeros((P, 1, m))
    for i, task in enumerate(block.tasks):
        where = np.searchsorted(block.rows, task.rows)
        targets[i][:, where] = task.targets.T
        weights[i, 0, where] = task.weights
    return targets, weights
