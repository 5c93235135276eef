"""All ridge heads of an η grid: one factorisation per set of rows and l2, moments from neighbours.

Draws are nested along η, so the second moments of one set follow from those of the set nearest to
it by adding and taking away the few rows in which they differ. Sets with fewer rows than features
go through their kernel, cut out of one over all rows of neighbouring sets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.heads.blocking import Task
from w2s_groups.heads.problem import Head, units
from w2s_groups.heads.ridge import (
    Dual,
    Factor,
    Primal,
    RowSet,
    from_coefficients,
    leave_one_out,
    solve,
    weighted,
)
from w2s_groups.heads.ridge_groups import COLUMNS, Group, batches, parts, waves
from w2s_groups.heads.ridge_moments import Chain, nearest_neighbours
from w2s_groups.heads.ridge_wide import Wide, row_sets

AIM = 1e-3  # share of tol to which gradients are refined where float64 allows it


def ridge_bytes(groups: Sequence[Group], n_rows: int, d: int, memory_limit: int) -> int:
    """Peak bytes of `ridge`: float64 features and kernel, moments and factor, a wave's rows.

    Those are at most twice a set's, and there are one or two copies of a set's.
    """
    dual = [group for group in groups if len(group.rows) < d]
    shared = max((len(union) for union, _ in batches(dual, memory_limit)), default=0)
    n = max(len(group.rows) for group in groups)
    R = min(COLUMNS, sum(group.columns for group in groups))
    moments = 4 * d * d if len(dual) < len(groups) else 0
    one_wave = 4 * n * d + 4 * min(n, d) ** 2 + R * (8 * max(n, shared) + 6 * d)
    return 8 * (2 * n_rows * d + shared**2 + 2 * shared * d + moments + one_wave)


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
        for union, members in batches(wanted, memory_limit):
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

    def row_sets(
        self, union: NDArray[np.int64], groups: Sequence[Group]
    ) -> tuple[Tensor, list[RowSet]]:
        """Rows of the union (u, d), sorted, and the groups' sets among them."""
        # index_select copies rows in parallel, which plain indexing does not.
        X = torch.index_select(self.X, 0, self._tensor(union))
        where = [self._tensor(np.searchsorted(union, group.rows)) for group in groups]
        return X, row_sets(X, where, [self._tensor(group.weights) for group in groups])

    def heads(self, tasks: Sequence[Task], theta: Tensor, b: Tensor, l2: float) -> list[Head]:
        """In the features' own units, of θ (d, R) and b (R,) of the tasks side by side."""
        coefs = theta.cpu().numpy() / self.unit[:, None]
        levels = b.cpu().numpy() - self.mean @ coefs
        ends = np.cumsum([0] + [task.K for task in tasks])
        return [
            Head(coefs[:, i:j].copy(), levels[i:j].copy(), True, l2)
            for i, j in itertools.pairwise(ends)
        ]

    def targets(self, tasks: Sequence[Task]) -> Tensor:
        return self._tensor(np.concatenate([task.targets for task in tasks], axis=1))

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=self.X.device)


def _dual(
    frame: _Frame, union: NDArray[np.int64], groups: Sequence[Group], tol: float
) -> Iterator[tuple[list[Task], list[Head]]]:
    X, sets = frame.row_sets(union, groups)
    # The kernel at l2 = 1; D⁻¹ = unit²/l2.
    natural = X * frame.scale
    shared = natural @ natural.T
    del natural

    def dual(l2: float, rows: RowSet) -> Dual:
        kernel = shared.index_select(0, rows.where).index_select(1, rows.where)
        return Dual(rows, kernel, frame.penalty(l2), 1 / l2)

    def primal(l2: float, rows: RowSet) -> Factor:
        return Primal(rows, rows.X.T @ (rows.w[:, None] * rows.X), frame.penalty(l2))

    def fit(l2: float, wide: Wide) -> list[Tensor]:
        D = frame.penalty(l2)
        pairs = zip(wide.sets, wide.targets, strict=True)
        a = [dual(l2, rows).coefficients(Y) for rows, Y in pairs]
        found = zip(wide.products(a), a, wide.sets, strict=True)
        return [from_coefficients(G, part, rows, D) for G, part, rows in found]

    of = dict(zip(groups, sets, strict=True))
    for wave in waves(groups):
        # Where features of wild scales swamp the kernel, the moments in their units do not fail.
        yield from _wave(frame, X, [(g, of[g]) for g in wave], fit, [dual, primal], tol)


def _primal(
    frame: _Frame, groups: Sequence[Group], tol: float
) -> Iterator[tuple[list[Task], list[Head]]]:
    chain = Chain(frame.X)
    order = nearest_neighbours([group.rows for group in groups], len(frame.X))
    for wave in waves([groups[index] for index in order]):
        union = np.unique(np.concatenate([group.rows for group in wave]))
        X, sets = frame.row_sets(union, wave)
        of = dict(zip(sets, wave, strict=True))

        def primal(l2: float, rows: RowSet, of: dict[RowSet, Group] = of) -> Primal:
            group = of[rows]
            if group.uniform:
                moment, scale = chain.moment(group.rows), 1 / len(group.rows)
            else:
                moment, scale = rows.X.T @ (rows.w[:, None] * rows.X), 1.0
            return Primal(rows, moment, frame.penalty(l2), scale)

        def fit(l2: float, wide: Wide, primal: Callable[..., Primal] = primal) -> list[Tensor]:
            pairs = zip(wide.sets, wide.targets, strict=True)
            sides = wide.products([weighted(rows, Y) for rows, Y in pairs])
            return [primal(l2, rows).inverse(G) for rows, G in zip(wide.sets, sides, strict=True)]

        yield from _wave(frame, X, list(zip(wave, sets, strict=True)), fit, [primal], tol)


def _wave(
    frame: _Frame,
    X: Tensor,
    members: Sequence[tuple[Group, RowSet]],
    fit: Callable[[float, Wide], list[Tensor]],
    factors: Sequence[Callable[[float, RowSet], Factor]],
    tol: float,
) -> Iterator[tuple[list[Task], list[Head]]]:
    """Heads of groups with rows among those of X. fit: θ of every set by l2.

    What is left to refine goes set by set; so do groups with l2 to choose, whose leverages take
    longer than their targets, and those of more targets than COLUMNS.
    """
    together = [
        (group, rows)
        for group, rows in members
        if len(group.path) == 1 and group.columns <= COLUMNS
    ]
    done = set()
    if together:
        l2 = together[0][0].path[0]
        wide = Wide(
            X, [rows for _, rows in together], [frame.targets(g.tasks) for g, _ in together]
        )
        thetas = fit(l2, wide)
        levels = [
            rows.w @ Y - rows.mean @ theta
            for rows, Y, theta in zip(wide.sets, wide.targets, thetas, strict=True)
        ]
        norms = wide.gradient_norms(thetas, levels, frame.penalty(l2))
        for (group, _), theta, b, norm in zip(together, thetas, levels, norms, strict=True):
            if norm <= AIM * tol:
                done.add(group)
                yield group.tasks, frame.heads(group.tasks, theta, b, l2)
    for group, rows in members:
        if group not in done:
            yield from _heads(frame, group, rows, factors, tol)


def _heads(
    frame: _Frame,
    group: Group,
    rows: RowSet,
    factors: Sequence[Callable[[float, RowSet], Factor]],
    tol: float,
) -> Iterator[tuple[list[Task], list[Head]]]:
    """Heads of a group at its l2, or each at the one whose leave-one-out error is least.

    factors: by l2, in the order in which they are tried.
    """
    best: dict[int, tuple[float, Head]] = {}
    for l2 in group.path:
        made, D = factors[0](l2, rows), frame.penalty(l2)
        for part in parts(group.tasks):
            tasks = [group.tasks[i] for i in part]
            Y = frame.targets(tasks)
            theta, b, norm = solve(made, rows, Y, D, AIM * tol)
            for factor in factors[1:]:
                if not bool((norm <= tol).all()):
                    made = factor(l2, rows)
                    theta, b, norm = solve(made, rows, Y, D, AIM * tol)
            worst = float(norm.max())
            if not worst <= tol:
                raise InputError(
                    f"tol={tol} was not reached by a ridge head on {len(group.rows)} rows at "
                    f"l2={l2:g}: its gradient stays at {worst:.1e}; raise tol or l2"
                )
            errors = Y.new_zeros(Y.shape[1])
            if len(group.path) > 1:
                errors = leave_one_out(made, rows, Y, theta, b)
            found = frame.heads(tasks, theta, b, l2)
            sums = [float(own.sum()) for own in torch.split(errors, [task.K for task in tasks])]
            for i, head, error in zip(part, found, sums, strict=True):
                if i not in best or error < best[i][0]:
                    best[i] = (error, head)
    yield group.tasks, [best[i][1] for i in range(len(group.tasks))]
