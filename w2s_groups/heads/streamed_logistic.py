"""Cross-entropy heads by passes over blocks of their rows.

Each head descends by L-BFGS whose first inverse Hessian is that of a sample of its rows, so that a
pass divides the error by about four. The descent begins at the solution on the
sample. Where the sample does not do, all rows give the Hessian, and the steps are Newton's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.core.mapped import gather
from w2s_groups.core.seeds import stream
from w2s_groups.heads.batch_losses import curvature, value_and_gradient
from w2s_groups.heads.blocking import Task
from w2s_groups.heads.problem import CrossEntropy, Head, constant_head, linear, n_logits
from w2s_groups.heads.products import add_lower
from w2s_groups.heads.ridge import cholesky, cholesky_solve
from w2s_groups.heads.row_blocks import RowBlocks, least_block
from w2s_groups.heads.streamed_descent import Descent

SAMPLE = 16  # rows of a sample, by features
SHARES = 8  # the sample and the factors of heads at once take each 1/8 of the memory limit
LEFT = 1e-4  # share of tol by which logits may be off, as far as the last moves tell
ROUGH = 1e-2  # the same, of logits, on the sample
RENEW = 15  # passes without an end after which all rows give the Hessian
PASSES = 120
DRIFT = 1.0  # move of a logit after which a Hessian is made anew

# Share of the first residual at which conjugate gradients of coupled classes end; most steps.
COUPLED, COUPLED_STEPS = 1e-2, 60

_LOSS = CrossEntropy()


def least_bytes(tasks: Sequence[Task], d: int) -> int:
    """Least memory limit under which `solve` works on tasks of d features."""
    factor = 8 * (d + 1) ** 2
    sample = 4 * d * min(len(tasks[0].rows), d)
    return max(SHARES * max(factor, sample), least_block(d + 1))


def solve(X: Any, tasks: Sequence[Task], tol: float, memory_limit: int) -> list[Head]:
    """Heads of tasks on the same rows of X (N, d), to LEFT * tol in their logits.

    InputError where that cannot be reached.
    """
    d, rows = int(X.shape[1]), tasks[0].rows
    room = memory_limit // SHARES
    # Where one factor for each class would take too much, the classes of a head share one.
    own = 8 * (d + 1) ** 2 * max(task.K for task in tasks) <= room
    each = max(1, room // (8 * (d + 1) ** 2 * (tasks[0].K if own else 1)))
    n = min(len(rows), SAMPLE * (d + 1), max(d, room // (4 * d)))
    sample = _sample(tasks, n)
    everything = RowBlocks(X, rows, memory_limit, ones=1)
    few = RowBlocks(gather(X, rows[sample]), np.arange(len(sample)), memory_limit, ones=1)
    found: list[Head] = []
    for start in range(0, len(tasks), each):
        part = tasks[start : start + each]
        whole = [_Fit(task, d, np.arange(0), own) for task in part]
        if len(sample) < len(rows):
            near = [_Fit(task, d, sample, own) for task in part]
            _minimise(few, few, near, near, ROUGH)
            for fit, first in zip(whole, near, strict=True):
                fit.descent.start(first.descent.theta)
                fit.factors, fit.source = first.factors, first.source
        else:
            near = whole
        _minimise(everything, few, whole, near, LEFT * tol)
        missed = [fit for fit in whole if not fit.descent.solved]
        if missed:
            p = missed[0].task.problem
            raise InputError(
                f"tol={tol} was not reached by {len(missed)} of {len(part)} {p.side} heads of "
                f"{p.loss} at l2={p.l2:g} on {len(rows)} rows; raise tol or l2"
            )
        found += [fit.head() for fit in whole]
    return found


def _sample(tasks: Sequence[Task], n: int) -> NDArray[np.int64]:
    """(m,) sorted positions of n of the rows, and one of each class and task in addition."""
    rows = len(tasks[0].rows)
    if n == rows:
        return np.arange(rows)
    drawn = [stream(rows, "heads/sample").choice(rows, n, replace=False)]
    for task in tasks:
        shares = task.targets * task.weights[:, None]
        drawn += [shares.argmax(axis=0), (task.weights[:, None] - shares).argmax(axis=0)]
    return np.unique(np.concatenate(drawn))


class _Fit:
    """One head on its way. theta (D, K) holds the intercept as the last of D = d + 1 features."""

    def __init__(self, task: Task, d: int, sample: NDArray[np.int64], own: bool) -> None:
        """sample: (m,) positions of its rows; all for none. own: a factor for each class."""
        self.task, self.own = task, own
        part = sample if len(sample) else slice(None)
        self.targets = torch.from_numpy(task.targets[part])
        weights = task.weights[part]
        self.weights = torch.from_numpy(weights / weights.sum())
        self.columns = _columns(task)
        centre = np.zeros((d + 1, task.K))
        given = linear(task.problem.centre, "centre")
        if given is not None:
            centre[:-1] = given.coef[:, self.columns]
        self.penalty = torch.full((d + 1, 1), task.problem.l2, dtype=torch.float64)
        self.penalty[-1] = 0.0
        self.descent = Descent(torch.from_numpy(centre), self.penalty)
        self.factors: list[Tensor] = []
        self.source: tuple[_Fit, Tensor, RowBlocks] | None = None  # of whose Hessian they are
        self.drift, self.steps, self.whole = 0.0, 0, False
        self.clear()

    def clear(self) -> None:
        """Before a pass."""
        self.value, self.move = 0.0, 0.0
        self.slope = torch.zeros_like(self.descent.theta)

    def losses(self, where: Any, A: Tensor) -> None:
        """Add a block of rows (b, D) to the value, the slope and the largest move of a logit."""
        both = A @ torch.cat([self.descent.trial, self.descent.trial - self.descent.theta], dim=1)
        Z, change = both[:, : self.task.K], both[:, self.task.K :]
        w = self.weights[where]
        value, R = value_and_gradient(_LOSS, Z.T[None], self.targets[where].T[None])
        self.value += float(w @ value[0])
        self.slope.addmm_(A.T, (R[0] * w).T)
        self.move = max(self.move, float(change.abs().max()))

    def curvatures(self, where: Any, A: Tensor) -> Tensor:
        """(K, b) weighted curvatures of a block's losses at theta, or (1, b) their mean."""
        Z = (A @ self.descent.theta).T[None]
        h = curvature(_LOSS, Z, self.targets[where].T[None])[0][0] * self.weights[where]
        return h if self.own else h.mean(0, keepdim=True)

    def product(self, at: Tensor, p: Tensor, rows: RowBlocks) -> Tensor:
        """The Hessian at parameters `at` times p (D, K), by a pass over the rows."""
        found = self.penalty * p
        for where, A in rows:
            both = A @ torch.cat([at, p], dim=1)
            Z, change = both[:, : self.task.K].T[None], both[:, self.task.K :].T[None]
            of = curvature(_LOSS, Z, self.targets[where].T[None])[1](change)
            found.addmm_(A.T, (of[0] * self.weights[where]).T)
        return found

    def inverse(self, g: Tensor) -> Tensor:
        """About the inverse Hessian times g (D, K): classes are coupled by conjugate gradients."""
        if self.task.K == 1:
            return cholesky_solve(self.factors[0], g)
        assert self.source is not None
        near, at, rows = self.source
        x, r, z = torch.zeros_like(g), g, self._by_class(g)
        p, rho = z, (g * z).sum()
        enough = COUPLED**2 * rho
        for _ in range(COUPLED_STEPS):
            q = near.product(at, p, rows)
            length = rho / (p * q).sum()
            x, r = x + length * p, r - length * q
            z = self._by_class(r)
            before, rho = rho, (r * z).sum()
            if not bool(rho > enough):
                break
            p = z + (rho / before) * p
        return x

    def _by_class(self, g: Tensor) -> Tensor:
        """Inverses of the classes' own Hessians, but for what is common to all classes: that moves
        no probability, and only the penalty bounds it."""
        common = g.mean(1, keepdim=True)
        roots = self.factors * (1 if self.own else self.task.K)
        columns = (g - common).split(1, dim=1)  # type: ignore[no-untyped-call]
        z = torch.cat([cholesky_solve(*own) for own in zip(roots, columns, strict=True)], dim=1)
        free = self.penalty <= 0
        z -= z.mean(1, keepdim=True)
        return z + torch.where(free, 0.0, common / torch.where(free, 1.0, self.penalty))

    def head(self) -> Head:
        """In the features' own units."""
        theta, task = self.descent.theta.numpy(), self.task
        head = constant_head(len(theta) - 1, task.problem.targets.shape[1], task.present)
        head.coef[:, self.columns] = theta[:-1]
        level = theta[-1]
        # Softmax leaves a common shift of the intercepts free: centred, as `ending` does.
        head.intercept[self.columns] = level - (level.mean() if len(level) > 1 else 0.0)
        return head


def _columns(task: Task) -> NDArray[np.int64]:
    return task.present if n_logits(task.problem.targets.shape[1]) > 1 else np.array([0])


def _minimise(
    rows: RowBlocks, few: RowBlocks, fits: Sequence[_Fit], near: Sequence[_Fit], left: float
) -> None:
    """Descend on `rows` until moves tell that no logit is off by more than `left`.

    near: the same heads on the rows of `few`, which give the Hessians while that is good enough.
    """
    of = dict(zip(fits, near, strict=True))
    for _ in range(PASSES):
        todo = [fit for fit in fits if not fit.descent.solved]
        if not todo:
            return
        for fit in todo:
            fit.clear()
        for where, A in rows:
            for fit in todo:
                fit.losses(where, A)
        for fit in todo:
            taken = fit.descent.receive(fit.value, fit.slope, fit.move)
            fit.drift += fit.move if taken else 0.0
            fit.steps += 1
            poor = rows is not few and (not taken or fit.descent.slow or fit.steps > RENEW)
            if poor and not fit.whole:
                fit.whole, fit.drift = True, torch.inf
            if not fit.factors or fit.drift > (DRIFT if taken else 0.0) or fit.steps > RENEW:
                _factorise(fit, *((fit, rows) if fit.whole else (of[fit], few)))
            fit.descent.propose(fit.inverse, left)


def _factorise(fit: _Fit, source: _Fit, rows: RowBlocks) -> None:
    """The head's Hessian from `rows`, on which `source` is the same head."""
    source.descent.theta = fit.descent.theta
    D = len(fit.descent.theta)
    fit.factors.clear()
    sums = [torch.zeros(D, D, dtype=torch.float64) for _ in range(fit.task.K if fit.own else 1)]
    for where, A in rows:
        for total, h in zip(sums, source.curvatures(where, A), strict=True):
            add_lower(total, A * h[:, None], A)
    for k, total in enumerate(sums):
        total.diagonal().add_(fit.penalty[:, 0]).clamp_min_(1e-300)
        sums[k] = cholesky(total)
    fit.factors, fit.drift, fit.steps = sums, 0.0, 0
    fit.source = source, fit.descent.theta, rows
    fit.descent.forget()
