"""All ridge heads of an η grid: one factorisation per set of rows and l2, moments from neighbours.

Draws are nested along η, so the second moments of one set follow from those of the set nearest to
it by adding and taking away the few rows in which they differ. Sets with fewer rows than features
go through their kernel, cut out of one over all rows of neighbouring sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.errors import InputError
from w2s_groups.heads.blocks import Task
from w2s_groups.heads.problem import Head, Squared, units
from w2s_groups.heads.ridge import Dual, Factor, Primal, RowSet, leave_one_out, solve

COLUMNS = 512  # targets solved together on one factorisation
RENEW = 1e-4  # share of a feature's largest moment so far below which subtraction costs digits


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


def groups_of(tasks: Sequence[Task]) -> list[Group]:
    """Tasks by what they share, in order of first appearance."""
    groups: dict[tuple[object, ...], Group] = {}
    for task in tasks:
        loss = task.problem.loss
        path = (loss.l2_path if isinstance(loss, Squared) else ()) or (task.problem.l2,)
        key = (task.rows.tobytes(), task.weights.tobytes(), task.K, path)
        groups.setdefault(key, Group(task.rows, task.weights, path)).tasks.append(task)
    return list(groups.values())


def ridge_bytes(groups: Sequence[Group], n_rows: int, d: int, memory_limit: int) -> int:
    """Peak bytes of `ridge`: float64 features and kernel, moments and factor, one set's rows."""
    dual = [group for group in groups if len(group.rows) < d]
    shared = max((len(union) for union, _ in _batches(dual, memory_limit)), default=0)
    n = max(len(group.rows) for group in groups)
    R = min(COLUMNS, max(sum(task.K for task in group.tasks) for group in groups))
    moments = 4 * d * d if len(dual) < len(groups) else 0
    one_set = 4 * n * d + 4 * min(n, d) ** 2 + 5 * R * (n + d)
    return 8 * (2 * n_rows * d + shared**2 + shared * d + moments + one_set)


def ridge(
    X: NDArray[np.floating],
    groups: Sequence[Group],
    tol: float,
    memory_limit: int,
    device: str,
) -> Iterator[tuple[list[Task], list[Head]]]:
    """Heads of all groups' tasks, some at a time. X: (N, d) features of their side.

    memory_limit: bytes, of which a shared kernel may take a quarter. InputError where a gradient,
    in the units of `problem.units`, cannot be brought to tol.
    """
    dual = [group for group in groups if len(group.rows) < X.shape[1]]
    primal = [group for group in groups if len(group.rows) >= X.shape[1]]
    for l2 in sorted({min(group.path) for group in groups}):
        mean, unit = units(X, l2)
        scaled = torch.as_tensor((X - mean) / unit, device=device)
        scale = torch.as_tensor(unit, device=device)
        frame = _Frame(scaled, scale, mean, unit)
        wanted = [group for group in dual if min(group.path) == l2]
        for union, members in _batches(wanted, memory_limit):
            yield from _dual(frame, union, members, tol)
        yield from _primal(frame, [group for group in primal if min(group.path) == l2], tol)


@dataclass(frozen=True, eq=False)
class _Frame:
    """Features in their units, and the way back."""

    X: Tensor
    scale: Tensor
    mean: NDArray[np.float64]
    unit: NDArray[np.float64]

    def penalty(self, l2: float) -> Tensor:
        return l2 / self.scale**2

    def rows(self, group: Group) -> RowSet:
        device = self.X.device
        rows = torch.as_tensor(group.rows, device=device)
        # index_select copies rows in parallel, which plain indexing does not.
        inside = torch.index_select(self.X, 0, rows)
        return RowSet.of(inside, torch.as_tensor(group.weights, device=device))


def _batches(
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


def _dual(
    frame: _Frame, union: NDArray[np.int64], groups: Sequence[Group], tol: float
) -> Iterator[tuple[list[Task], list[Head]]]:
    # The kernel at l2 = 1; D⁻¹ = unit²/l2.
    natural = frame.X[union] * frame.scale
    shared = natural @ natural.T
    del natural
    for group in groups:
        rows = frame.rows(group)
        where = torch.as_tensor(np.searchsorted(union, group.rows), device=shared.device)
        kernel = shared[where[:, None], where]

        def dual(l2: float, rows: RowSet = rows, kernel: Tensor = kernel) -> Factor:
            return Dual(rows, kernel / l2, frame.penalty(l2))

        def primal(l2: float, rows: RowSet = rows) -> Factor:
            return Primal(rows, rows.X.T @ (rows.w[:, None] * rows.X), frame.penalty(l2))

        # Where features of wild scales swamp the kernel, the moments in their units do not fail.
        yield from _heads(frame, group, rows, [dual, primal], tol)


def _primal(
    frame: _Frame, groups: Sequence[Group], tol: float
) -> Iterator[tuple[list[Task], list[Head]]]:
    chain = _Chain(frame.X)
    for index in _nearest_neighbours([group.rows for group in groups], len(frame.X)):
        group = groups[index]
        rows = frame.rows(group)
        if group.uniform:
            moment, scale = chain.moment(group.rows), 1 / len(group.rows)
        else:
            moment, scale = rows.X.T @ (rows.w[:, None] * rows.X), 1.0

        def factor(
            l2: float, rows: RowSet = rows, moment: Tensor = moment, scale: float = scale
        ) -> Factor:
            return Primal(rows, moment, frame.penalty(l2), scale)

        yield from _heads(frame, group, rows, [factor], tol)


class _Chain:
    """Σ xᵀx over one set after another, by the rows in which it differs from the one before."""

    def __init__(self, X: Tensor) -> None:
        self.X = X
        self.member = np.zeros(len(X), dtype=bool)
        self.sum = X.new_zeros(X.shape[1], X.shape[1])
        self.largest = self.sum.diagonal().clone()

    def moment(self, rows: NDArray[np.int64]) -> Tensor:
        member = np.zeros_like(self.member)
        member[rows] = True
        gained = np.flatnonzero(member & ~self.member)
        lost = np.flatnonzero(self.member & ~member)
        if len(gained) + len(lost) < len(rows):
            for part, sign in ((gained, 1.0), (lost, -1.0)):
                block = self.X[part]
                self.sum.addmm_(block.T, block, alpha=sign)
        self.largest = torch.maximum(self.largest, self.sum.diagonal())
        shrunk = bool((self.sum.diagonal() < RENEW * self.largest).any())
        if shrunk or len(gained) + len(lost) >= len(rows):
            block = self.X[rows]
            self.sum = block.T @ block
            self.largest = self.sum.diagonal().clone()
        self.member = member
        return self.sum


def _nearest_neighbours(sets: Sequence[NDArray[np.int64]], n_rows: int) -> Iterator[int]:
    """Order of visit in which each set is the nearest to the one before, of those still left."""
    if not sets:
        return
    member = np.zeros((len(sets), n_rows), dtype=np.float32)
    for one, rows in zip(member, sets, strict=True):
        one[rows] = 1
    size = member.sum(axis=1)
    left = np.ones(len(sets), dtype=bool)
    at = 0
    while True:
        left[at] = False
        yield at
        if not left.any():
            return
        apart = np.where(left, size - 2 * (member @ member[at]), np.inf)
        at = int(apart.argmin())


def _heads(
    frame: _Frame,
    group: Group,
    rows: RowSet,
    factors: Sequence[Callable[[float], Factor]],
    tol: float,
) -> Iterator[tuple[list[Task], list[Head]]]:
    """Heads of a group at its l2, or each at the one whose leave-one-out error is least.

    factors: by l2, in the order in which they are tried.
    """
    best: dict[int, tuple[float, Head]] = {}
    for l2 in group.path:
        made, D = factors[0](l2), frame.penalty(l2)
        for part in _parts(group.tasks):
            tasks = [group.tasks[i] for i in part]
            targets = np.concatenate([task.targets for task in tasks], axis=1)
            Y = torch.as_tensor(targets, device=frame.X.device)
            theta, b, norm = solve(made, rows, Y, D, tol)
            for factor in factors[1:]:
                if not bool((norm <= tol).all()):
                    made = factor(l2)
                    theta, b, norm = solve(made, rows, Y, D, tol)
            worst = float(norm.max())
            if not worst <= tol:
                raise InputError(
                    f"tol={tol} was not reached by a ridge head on {len(group.rows)} rows at "
                    f"l2={l2:g}: its gradient stays at {worst:.1e}; raise tol or l2"
                )
            owner = np.repeat(part, [task.K for task in tasks])
            errors = np.zeros(len(owner))
            if len(group.path) > 1:
                errors = leave_one_out(made, rows, Y, theta, b).cpu().numpy()
            coefs = theta.cpu().numpy() / frame.unit[:, None]
            levels = b.cpu().numpy() - frame.mean @ coefs
            for i in part:
                mine = owner == i
                error = float(errors[mine].sum())
                if i not in best or error < best[i][0]:
                    best[i] = (error, Head(coefs[:, mine], levels[mine], True, l2))
    yield group.tasks, [best[i][1] for i in range(len(group.tasks))]


def _parts(tasks: Sequence[Task]) -> list[list[int]]:
    """Positions of the tasks, cut where their targets fill COLUMNS columns."""
    each = max(1, COLUMNS // tasks[0].K)
    return [list(range(k, min(k + each, len(tasks)))) for k in range(0, len(tasks), each)]
