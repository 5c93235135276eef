"""The end of a descent: Newton steps in float64 until a step moves no logit.

What is stored are decisions, and methods build on decisions, so a head has to be so near its
optimum that nothing it decides depends on which heads were solved with it, on the number of threads
or on the device. Each step solves the Newton equations of a head by conjugate gradients. Their
preconditioner is the inverse of a Hessian with the same rows, in float32: the head's own where that
is cheap, else that of the heads' average curvature. What float32 loses, the next step finds in the
float64 gradient. GCE and the confidence loss are not convex: `continued` and `own_decisions` define
which of their stationary points is the answer.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from w2s_groups.heads.batch_losses import curvature, value_and_gradient
from w2s_groups.heads.newton_step import (
    LEAST,
    Heads,
    Hessian,
    Inverse,
    Rows,
    Theta,
    conjugate_gradients,
)
from w2s_groups.heads.problem import GCE, TIE, Confidence, CrossEntropy, Loss

# Entries of a gradient, in the units of `problem.units`, that are rounding; and where features are
# of so wild scales that float64 cannot tell their penalties from it.
FLOOR, WILD_FLOOR = 1e-13, 1e-9
STEPS = 200  # Newton steps of a head: far more than any took
NEAR = 1e-4  # the same for losses that are not convex
SAFE = 0.1  # a step that moves no logit further than this needs no line search (convex losses)
REACH = 100.0  # no step moves a logit further: where all curvature is gone, Newton's has no bound
Q_STEPS = 4  # GCE goes from cross-entropy (q = 0) to its own q in so many equal steps
Q_TOL = 1e-2  # largest move of a logit by a Newton step that ends an intermediate q
ROUNDS = 100  # of the confidence loss: decisions have settled long before


def finish(
    rows: Rows, loss: Loss, heads: Heads, start: Theta, tol: float
) -> tuple[Theta, Tensor, Tensor]:
    """Parameters of the answers, which heads were solved (P,), and Newton steps (P,).

    start: near the answer, for `GCE` near the cross-entropy solution of the same targets; for
    `Confidence` where descent starts. A head is solved once a Newton step moves none of its logits
    by more than tol; a thousandth of that is left. Features of wild scales may need `Rows.exact`.
    """
    P, K, _ = heads.targets.shape
    inverse = rows.inverse(P, K, own=isinstance(loss, GCE))
    if isinstance(loss, Confidence):
        found = own_decisions(rows, loss, heads, start, tol, inverse)
    else:
        at = rows.begin(start, heads, inverse)
        if isinstance(loss, GCE):
            found = continued(rows, loss, heads, at, tol, inverse)
        else:
            found = newton(rows, loss, heads, at, tol, inverse)
    return rows.features(found[0]), *found[1:]


def continued(
    rows: Rows, loss: GCE, heads: Heads, start: Theta, tol: float, inverse: Inverse
) -> tuple[Theta, Tensor, Tensor]:
    """GCE along q: from the cross-entropy solution (q = 0), each q from the head before.

    Every step descends, with the head's own Hessian, so only the problem decides the path.
    """
    spent = torch.zeros(len(heads.targets), dtype=torch.int64, device=start.b.device)
    at = start
    for k in range(Q_STEPS + 1):
        part = GCE(loss.q * k / Q_STEPS) if k else CrossEntropy()
        near = tol if k in (0, Q_STEPS) else max(tol, Q_TOL)
        at, solved, steps = newton(rows, part, heads, at, near, inverse)
        spent += steps
    return at, solved, spent


def own_decisions(
    rows: Rows, loss: Confidence, heads: Heads, start: Theta, tol: float, inverse: Inverse
) -> tuple[Theta, Tensor, Tensor]:
    """The confidence loss by turns: the head's decisions are taken, then it is fitted with them.

    −log max_k p_k is the least of −log p_k over k, so either turn lowers the objective; it ends
    where a fit keeps the decisions that it was made with: a stationary point. Each fit is convex.
    """
    own = decided(heads.shifted(rows.given(start)))
    spent = torch.zeros(len(own), dtype=torch.int64, device=own.device)
    at: Theta | None = None
    for _ in range(ROUNDS):
        targets = (1 - loss.alpha) * heads.targets + loss.alpha * own
        mixed = replace(heads, targets=targets)
        at = at or rows.begin(start, mixed, inverse)
        at, solved, steps = newton(rows, CrossEntropy(), mixed, at, tol, inverse)
        spent += steps
        before, own = own, decided(heads.shifted(rows.logits(at)))
        if bool((own == before).all()):
            return at, solved, spent
    settled = (own == before).flatten(1).all(1)
    assert at is not None
    return at, solved & settled, spent


def decided(logits: Tensor) -> Tensor:
    """(P, K, n) shares of each class in the heads' decisions; classes that tie share equally."""
    if logits.shape[1] == 1:
        return (torch.sign(torch.where(logits.abs() <= TIE, 0.0, logits)) + 1) / 2
    top = (logits >= logits.amax(1, keepdim=True) - TIE).to(logits.dtype)
    return top / top.sum(1, keepdim=True)


def newton(
    rows: Rows,
    loss: Loss,
    heads: Heads,
    start: Theta,
    tol: float,
    inverse: Inverse | None = None,
) -> tuple[Theta, Tensor, Tensor]:
    """Damped Newton descent of every head, each by itself; see `finish`.

    inverse: kept from an earlier descent of the same heads.
    """
    P, K, _ = heads.targets.shape
    device = start.b.device
    at = Theta(start.v.clone(), start.b.clone())
    solved = torch.zeros(P, dtype=torch.bool, device=device)
    spent = torch.zeros(P, dtype=torch.int64, device=device)
    left = torch.arange(P, device=device)
    inverse = inverse or rows.inverse(P, K, own=isinstance(loss, GCE))
    floor = WILD_FLOOR if float(rows.penalty.min()) < LEAST else FLOOR
    for _ in range(STEPS):
        some, here = heads.at(left), at.at(left)
        Z = some.shifted(rows.logits(here))
        value, R = value_and_gradient(loss, Z, some.targets)
        value = torch.linalg.vecdot(value, some.weights.squeeze(1))
        up = rows.gradient(R.mul_(some.weights), here.v)
        down = Theta(-up.v, -up.b)
        flat = torch.maximum(down.v.abs().amax((1, 2)), down.b.abs().amax(1)) <= floor
        hessian = Hessian(rows, some.weights, *curvature(loss, Z, some.targets))
        inverse.update(left, hessian.diagonal, some.weights)
        step, dz, sound = conjugate_gradients(hessian, inverse, down, tol)
        length = _length(rows, loss, some, here, value, Z, down, step, dz)
        new, change = here.add(step, length), length * dz.abs().amax((1, 2))
        at.v[left], at.b[left] = new.v, new.b
        inverse.moved(left, change)
        spent[left] += 1
        solved[left] = flat | (sound & (change <= tol) & (length > 0))
        left = left[~solved[left] & (change > 0)]
        if not len(left):
            break
    return at, solved, spent


def _length(
    rows: Rows,
    loss: Loss,
    heads: Heads,
    here: Theta,
    value: Tensor,
    Z: Tensor,
    down: Theta,
    step: Theta,
    dz: Tensor,
) -> Tensor:
    """(P,) share of each step that is taken: the first of 1, 1/2, 1/4 ... that descends enough.

    value (P,), Z (P, K, n): losses and logits at `here`; down: minus the gradient there.
    """
    size = dz.abs().amax((1, 2))
    length = (REACH / size.clamp_min(1e-300)).clamp_max(1.0)
    todo = size > (SAFE if isinstance(loss, CrossEntropy) else NEAR)
    if not bool(todo.any()):
        return length
    slope = -down.dot(step)
    y = step.v if step.y is None else step.y
    linear = (rows.pull(here.v) * y).sum((1, 2))
    square = (rows.pull(step.v) * y).sum((1, 2))
    for _ in range(60):
        trial, _ = value_and_gradient(loss, Z + length[:, None, None] * dz, heads.targets)
        rise = torch.linalg.vecdot(trial, heads.weights.squeeze(1)) - value
        rise = rise + length * linear + length**2 * square / 2
        todo = todo & ~(rise <= 1e-4 * length * slope + 1e-15 * value.abs())
        if not bool(todo.any()):
            return length
        length = torch.where(todo, length / 2, length)
    return torch.where(todo, 0.0, length)
