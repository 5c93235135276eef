"""Ridge heads by passes over blocks of their rows: moments first, then gradients from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.heads.blocking import Task
from w2s_groups.heads.problem import Head
from w2s_groups.heads.products import add_lower
from w2s_groups.heads.ridge import Primal, RowSet
from w2s_groups.heads.ridge_batch import AIM
from w2s_groups.heads.ridge_groups import Group, groups_of
from w2s_groups.heads.row_blocks import RowBlocks, least_block

ROUNDS = 4  # of iterative refinement
MATRICES = 5  # of (d, d): moments, two copies in their units, with the penalty, and its factor


def least_bytes(tasks: Sequence[Task], d: int) -> int:
    """Least memory limit under which `solve` works on tasks of d features."""
    return max(2 * MATRICES * 8 * d * d, least_block(d))


def solve(X: Any, tasks: Sequence[Task], tol: float, memory_limit: int) -> list[Head]:
    """Heads of tasks on the same rows of X (N, d); see `ridge_batch.ridge`.

    InputError where a gradient, in the units of `problem.units`, cannot be brought to tol.
    """
    rows = RowBlocks(X, tasks[0].rows, memory_limit)
    found: dict[Task, Head] = {}
    for group in groups_of(tasks):
        found |= _Streamed(rows, group, tol).heads()
    return [found[task] for task in tasks]


@dataclass(eq=False)
class _Candidate:
    """The heads of a group at one l2: θ (d, R) and b (R,), largest |gradient|, errors (R,)."""

    theta: Tensor
    b: Tensor
    worst: float
    errors: Tensor


class _Streamed:
    """A group's moments about the mean of its rows, and what they lead to."""

    def __init__(self, rows: RowBlocks, group: Group, tol: float) -> None:
        self.rows, self.group, self.tol = rows, group, tol
        self.w = torch.from_numpy(group.weights)
        self.Y = torch.from_numpy(np.concatenate([task.targets for task in group.tasks], axis=1))
        self.level = self.w @ self.Y
        self._moments()

    def _moments(self) -> None:
        d, R = self.rows.d, self.Y.shape[1]
        # About the mean of some rows, so that features far from 0 lose no digits.
        self.shift = torch.zeros(d, dtype=torch.float64)
        for where, A in self.rows:
            self.shift = (self.w[where] @ A) / self.w[where].sum().clamp_min(1e-300)
            break
        self.moment = torch.zeros(d, d, dtype=torch.float64)
        self.mean = torch.zeros(d, dtype=torch.float64)
        self.right = torch.zeros(d, R, dtype=torch.float64)
        for where, A in self.rows:
            A -= self.shift
            w = self.w[where][:, None]
            self.right.addmm_(A.T, w * (self.Y[where] - self.level))
            weighted = A * w
            self.mean += weighted.sum(0)
            add_lower(self.moment, weighted, A)
        variance = self.moment.diagonal() - self.mean.square()
        self.variance = variance.clamp_min(0.0)

    def heads(self) -> dict[Task, Head]:
        """Every task's head, at the l2 whose leave-one-out error is least."""
        tasks, path = self.group.tasks, self.group.path
        ends = np.cumsum([task.K for task in tasks])[:-1].tolist()
        best: dict[Task, tuple[float, Head]] = {}
        for l2 in path:
            made = self._solved(l2, choose=len(path) > 1)
            if not made.worst <= self.tol:
                raise InputError(
                    f"tol={self.tol} was not reached by a ridge head on {len(self.w)} rows at "
                    f"l2={l2:g}: its gradient stays at {made.worst:.1e}; raise tol or l2"
                )
            parts = (torch.tensor_split(part, ends, dim=-1) for part in
                     (made.theta, made.b, made.errors))  # fmt: skip
            for task, theta, b, errors in zip(tasks, *parts, strict=True):
                error = float(errors.sum())
                if task not in best or error < best[task][0]:
                    head = Head(theta.numpy().copy(), b.numpy().copy(), True, l2)
                    best[task] = error, head
        return {task: head for task, (_, head) in best.items()}

    def _solved(self, l2: float, choose: bool) -> _Candidate:
        unit = (self.variance + l2).sqrt()
        # Rows in their units, as `Primal` has them: only their mean is read.
        scaled = RowSet(self.right[:0], self.w[:0], self.w, self.mean / unit)
        penalty = l2 / unit**2
        factor = Primal(scaled, self.moment / unit / unit[:, None], penalty)
        phi = factor.inverse(self.right / unit[:, None])
        b = self.level - scaled.mean @ phi  # of shifted rows
        for done in range(ROUNDS + 1):
            slope, level = self._gradient(phi / unit[:, None], b)
            slope = slope / unit[:, None] + penalty[:, None] * phi
            worst = float(torch.maximum(slope.abs().amax(), level.abs().amax()))
            if done == ROUNDS or worst <= AIM * self.tol:
                break
            step = factor.inverse(slope - torch.outer(scaled.mean, level))
            phi, b = phi - step, b - level + scaled.mean @ step
        theta = phi / unit[:, None]
        errors = self._left_out(factor, theta, b, unit) if choose else torch.zeros_like(b)
        return _Candidate(theta, b - self.shift @ theta, worst, errors)

    def _gradient(self, theta: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Of the losses in θ (d, R) and b (R,) of shifted rows, from the rows themselves."""
        slope, level = torch.zeros_like(theta), torch.zeros_like(b)
        for where, A in self.rows:
            A -= self.shift
            residual = self.w[where][:, None] * (A @ theta + b - self.Y[where])
            slope.addmm_(A.T, residual)
            level += residual.sum(0)
        return slope, level

    def _left_out(self, factor: Primal, theta: Tensor, b: Tensor, unit: Tensor) -> Tensor:
        """(R,) as `ridge.leave_one_out`."""
        errors = torch.zeros_like(b)
        for where, A in self.rows:
            A -= self.shift
            w = self.w[where]
            residual = A @ theta + b - self.Y[where]
            A = (A - self.mean).div_(unit).T
            half = torch.linalg.solve_triangular(factor.root, A, upper=False)
            room = (1 - w * (1 + half.square().sum(0))).clamp_min(1e-12)
            errors += w @ (residual / room[:, None]).square()
        return errors
