"""From many tasks to their heads: a descent in blocks, then Newton steps row set by row set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.heads.blocking import Block, Task, expand
from w2s_groups.heads.kernels import Kernels
from w2s_groups.heads.lbfgs_batch import Batch, Descent
from w2s_groups.heads.newton import finish
from w2s_groups.heads.newton_step import LEAST, Heads, Rows, Theta
from w2s_groups.heads.problem import Head, constant_head, linear, units
from w2s_groups.heads.scratch import Scratch
from w2s_groups.heads.span import Span
from w2s_groups.heads.threads import by_size

NEAR, LIMIT = 1e-5, 300  # gradient at which a descent gives way to Newton steps; its iterations
KEPT = 8  # share of the memory limit, 1/8, for features in their units
WIDE = 2  # rows to a feature up to which a kernel is used
# Sum of the features' variances, by l2, up to which float64 kernels give logits to 1e-10.
LARGEST = 1e8
FACTORS = 32  # share of the memory limit, 1/8 at four bytes, for numbers in factors at once


def together(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks that can be finished at once: alike in rows, loss, l2 and number of logits.

    Those of one side and l2 follow each other, as they share features in their units.
    """
    groups: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        p = task.problem
        key = (p.side, p.loss, p.l2, task.K, p.centre is None, task.rows.tobytes())
        groups.setdefault(key, []).append(task)
    return sorted(groups.values(), key=lambda alike: (alike[0].problem.side, alike[0].problem.l2))


def _at_once(n: int, d: int, K: int, memory_limit: int) -> int:
    """Heads of K logits on n rows of d features that are finished together."""
    size = d if n > WIDE * d else n
    return max(1, memory_limit // FACTORS // (K * size**2))


class Ending:
    """Solves tasks on given features to a tolerance; see `solve.solve`."""

    def __init__(
        self,
        features: Mapping[str, NDArray[np.floating]],
        tol: float,
        memory_limit: int,
        device: str,
        kernels: Kernels,
        used: Mapping[str, NDArray[np.int64]],
        ended: Callable[[Sequence[Task]], None],
    ) -> None:
        """used: rows of each side on which any head is fitted, ascending. ended: called with tasks
        as they are solved.
        """
        self.ended = ended
        self.features, self.tol, self.device = features, tol, device
        self.memory_limit, self.kernels, self.used = memory_limit, kernels, used
        self.flops = 0.0
        self.scratch = Scratch(device)
        self.kept: tuple[tuple[str, float] | None, Tensor] = (None, torch.empty(0))
        self.scales: dict[tuple[str, float], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def spent(self) -> float:
        """Operations of matrix products since the last call."""
        flops, self.flops = self.flops, 0.0
        return flops

    def descend(self, block: Block, starts: Sequence[Head | None]) -> list[Head]:
        """Heads near the optima of a block's tasks, from given ones or zero, in float32."""
        mean, unit = self._units(block.side, block.l2)
        A = np.ones((len(block.rows), len(mean) + 1), dtype=np.float32)
        A[:, :-1] = (self.features[block.side][block.rows] - mean) / unit
        penalty = torch.as_tensor(np.append(block.l2 / unit**2, 0.0), device=self.device)
        targets, weights = (torch.as_tensor(a, device=self.device) for a in expand(block))
        begin = self._theta(starts, block.tasks)
        start = torch.cat([begin.v, begin.b[..., None]], dim=2).flatten(1)
        descent = Descent(torch.as_tensor(A, device=self.device), penalty, block.loss, block.K)
        m, D = A.shape
        with by_size(2.0 * len(start) * block.K * m * D):
            V, *_ = descent.minimise(Batch(start, targets, weights), NEAR, LIMIT)
        self.flops += descent.flops
        theta = V.view(len(block.tasks), block.K, -1).cpu().numpy()
        return [_head(t, own, mean, unit) for t, own in zip(block.tasks, theta, strict=True)]

    def finish(self, tasks: Sequence[Task], starts: Sequence[Head]) -> list[tuple[Head, int]]:
        """The solved heads of tasks of one side, and their Newton steps, from heads near them."""
        found: dict[Task, tuple[Head, int]] = {}
        start = dict(zip(tasks, starts, strict=True))
        for alike in together(tasks):
            n, d = len(alike[0].rows), self.features[alike[0].problem.side].shape[1]
            each = _at_once(n, d, alike[0].K, self.memory_limit)
            for k in range(0, len(alike), each):
                part = alike[k : k + each]
                with by_size(min(n, d) ** 3 / 3):  # of a Cholesky factorisation
                    solved = self._finish(part, [start[task] for task in part])
                found |= dict(zip(part, solved, strict=True))
                self.ended(part)
        return [found[task] for task in tasks]

    def _finish(self, tasks: Sequence[Task], starts: Sequence[Head]) -> list[tuple[Head, int]]:
        p = tasks[0].problem
        mean, unit = self._units(p.side, p.l2)
        rows = self._rows(p.side, tasks[0].rows, p.l2)
        targets = np.stack([task.targets.T for task in tasks])
        weights = np.stack([task.weights[None] for task in tasks])
        centres = self._theta([linear(t.problem.centre, "centre") for t in tasks], tasks)
        at = self._theta(starts, tasks)
        heads = Heads(self._tensor(targets), self._tensor(weights))
        if p.centre is not None:
            # In steps away from the centre, whose logits are then given.
            heads.offset = rows.given(centres)
            at = Theta(at.v - centres.v, at.b - centres.b)
        found, solved, spent = finish(rows, p.loss, heads, at, self.tol)
        if not bool(solved.all()):
            rows = rows.exact()
            found, solved, spent = finish(rows, p.loss, heads, at, self.tol)
        at = found
        self.flops += rows.flops
        if not bool(solved.all()):
            missed = (~solved).nonzero().flatten().tolist()
            raise InputError(
                f"tol={self.tol} was not reached by {len(missed)} of {len(tasks)} {p.side} heads "
                f"of {p.loss} at l2={p.l2:g} on {len(tasks[0].rows)} rows; raise tol or l2"
            )
        theta = torch.cat([at.v + centres.v, (at.b + centres.b)[..., None]], dim=2).cpu().numpy()
        made = [_head(task, own, mean, unit) for task, own in zip(tasks, theta, strict=True)]
        return list(zip(made, spent.tolist(), strict=True))

    def _rows(self, side: str, rows: NDArray[np.int64], l2: float) -> Rows:
        """By their kernel where a factor of it costs less than one of the features."""
        X, unit = self._scaled(side, rows, l2), self._tensor(self._units(side, l2)[1])
        wild = l2 / float((unit**2).amax()) < LEAST or float((unit**2).sum()) > LARGEST * l2
        if wild or len(rows) > WIDE * len(unit):
            return Rows(X, l2, unit, self.scratch)
        return Span(X, l2, unit, self.scratch, self.kernels.get(side, rows, self.scratch))

    def _scaled(self, side: str, rows: NDArray[np.int64], l2: float) -> Tensor:
        """Rows (n, d) in their units, of a matrix of all used rows that is kept if it fits."""
        used = self.used[side]
        if self.kept[0] != (side, l2):
            mean, unit = self._units(side, l2)
            fits = 8 * len(used) * len(unit) <= self.memory_limit // KEPT
            X = self._tensor((self.features[side][used if fits else rows] - mean) / unit)
            if not fits:
                return X
            self.kept = ((side, l2), X)
        where = torch.as_tensor(np.searchsorted(used, rows), device=self.device)
        own = self.scratch.empty("rows", len(rows), self.kept[1].shape[1], dtype=torch.float64)
        return torch.index_select(self.kept[1], 0, where, out=own)

    def _theta(self, heads: Sequence[Head | None], tasks: Sequence[Task]) -> Theta:
        """Parameters in centred features, in their units; 0 for None."""
        mean, unit = self._units(tasks[0].problem.side, tasks[0].problem.l2)
        v = np.zeros((len(tasks), tasks[0].K, len(mean)))
        b = np.zeros((len(tasks), tasks[0].K))
        for i, (head, task) in enumerate(zip(heads, tasks, strict=True)):
            if head is not None:
                coef = head.coef[:, _columns(task)]
                v[i], b[i] = (coef * unit[:, None]).T, head.intercept[_columns(task)] + mean @ coef
        return Theta(self._tensor(v), self._tensor(b))

    def _units(self, side: str, l2: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if (side, l2) not in self.scales:
            self.scales[side, l2] = units(self.features[side], l2)
        return self.scales[side, l2]

    def _tensor(self, array: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float64, device=self.device)


def _columns(task: Task) -> NDArray[np.int64]:
    """Columns of a Head that the task's K logits fill."""
    return task.present if task.problem.targets.shape[1] > 2 else np.array([0])


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
