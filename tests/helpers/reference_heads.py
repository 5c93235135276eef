"""Reference path for one logistic head: float64, one problem at a time, slow and simple."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from reference_losses import Array, curvature, value_and_gradient
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

from w2s_groups.core.errors import InputError
from w2s_groups.heads.checks import check, check_features, check_init
from w2s_groups.heads.newton import Q_STEPS
from w2s_groups.heads.outputs import probabilities
from w2s_groups.heads.problem import (
    GCE,
    TIE,
    Confidence,
    CrossEntropy,
    Head,
    Problem,
    Squared,
    constant_head,
    linear,
    n_logits,
    normalised_targets,
    normalised_weights,
    present_classes,
    units,
)


def fit(X: NDArray[np.floating], problem: Problem, tol: float = 1e-8) -> Head:
    """The answer of `problem`: the minimum for cross-entropy, unique since l2 > 0.

    X: (N, d) features of the problem's side. For GCE and the confidence loss, which are not convex,
    the stationary point that docs/heads.md defines. Each fit on the way ends when the largest entry
    of the gradient, in the units of `problem.units`, is at most `tol`; deterministic. Raises
    InputError for bad input and where `tol` cannot be reached.
    """
    check_features(problem.side, X)
    check(problem, (X.shape[0], X.shape[1]))
    check_init(problem, X.shape[1])
    if isinstance(problem.loss, GCE):
        head = _descend(X, replace(problem, loss=CrossEntropy(), init=None), tol)
        for k in range(1, Q_STEPS + 1):
            loss = GCE(problem.loss.q * k / Q_STEPS)
            head = _descend(X, replace(problem, loss=loss, init=head), tol)
        return head
    if isinstance(problem.loss, Confidence):
        return _by_turns(X, problem, problem.loss.alpha, tol)
    return _descend(X, problem, tol)


def _by_turns(X: NDArray[np.floating], problem: Problem, alpha: float, tol: float) -> Head:
    """Cross-entropy fits with targets mixed with the last fit's decisions, until they stay."""
    convex = replace(problem, loss=CrossEntropy())
    head = linear(problem.init) or _descend(X, convex, tol)
    targets, before = normalised_targets(problem), None
    for _ in range(100):
        logits = np.asarray(X[problem.rows], dtype=np.float64) @ head.coef + head.intercept
        p = (
            np.concatenate([np.zeros_like(logits), logits], axis=1)
            if logits.shape[1] == 1
            else logits
        )
        top = p >= p.max(axis=1, keepdims=True) - TIE
        if before is not None and np.array_equal(top, before):
            return head
        before = top
        mixed = (1 - alpha) * targets + alpha * top / top.sum(axis=1, keepdims=True)
        head = _descend(X, replace(convex, targets=mixed, init=head), tol)
    raise InputError(f"the decisions of the confidence loss at alpha={alpha} did not settle")


def _descend(X: NDArray[np.floating], problem: Problem, tol: float) -> Head:
    objective = _Objective(X, problem)
    if len(objective.present) == 1:
        return objective.head(None)
    start = objective.start(linear(problem.init) or linear(problem.centre))
    # maxcor and ftol: go on until the gradient is small, whatever the objective's last digits do.
    result = minimize(
        objective.value_and_gradient,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 40_000, "maxcor": 30, "ftol": 0.0, "gtol": tol},
    )
    theta = _polish(objective, np.asarray(result.x, dtype=np.float64), tol)
    norm = float(np.abs(objective.value_and_gradient(theta)[1]).max())
    if not norm <= tol:
        raise InputError(
            f"tol={tol} was not reached: the gradient stays at {norm:.1e}; raise tol or l2"
        )
    return objective.head(theta)


def predict_proba(head: Head, X: NDArray[np.floating]) -> Array:
    """(n, C) class probabilities of X (n, d), or the scores of a head of the squared loss."""
    return probabilities(head, np.asarray(X, dtype=np.float64) @ head.coef + head.intercept)


def objective_value(X: NDArray[np.floating], problem: Problem, head: Head) -> float:
    """Value of the problem's objective at `head`."""
    logits = np.asarray(X[problem.rows], dtype=np.float64) @ head.coef + head.intercept
    values, _ = value_and_gradient(problem.loss, logits, normalised_targets(problem))
    centre = linear(problem.centre)
    away = head.coef if centre is None else head.coef - centre.coef
    return float(normalised_weights(problem) @ values + problem.l2 / 2 * np.sum(away**2))


def gradient_norm(X: NDArray[np.floating], problem: Problem, head: Head) -> float:
    """Largest entry of the objective's gradient at `head`, in the units of `problem.units`."""
    objective = _Objective(X, problem)
    if len(objective.present) == 1:
        return 0.0
    return float(np.abs(objective.value_and_gradient(objective.start(head).ravel())[1]).max())


class _Objective:
    """The problem in centred, scaled features with a column of ones: θ (d + 1, K) as a vector."""

    def __init__(self, X: NDArray[np.floating], problem: Problem) -> None:
        self.problem = problem
        self.mean, self.unit = units(X, problem.l2)
        n_classes = problem.targets.shape[1]
        self.present = present_classes(problem)
        self.columns = np.arange(1) if n_classes == 2 else self.present
        self.targets = normalised_targets(problem)[:, self.present]
        self.weights = normalised_weights(problem)[:, None]
        rows = (np.asarray(X[problem.rows], dtype=np.float64) - self.mean) / self.unit
        self.A = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        self.penalty = np.append(problem.l2 / self.unit**2, 0.0)[:, None]
        self.K = n_logits(n_classes) if n_classes == 2 else len(self.present)
        self.centre = self.start(linear(problem.centre))
        self.centre[-1] = 0.0  # the intercept is free

    def start(self, init: Head | None) -> Array:
        theta = np.zeros((self.A.shape[1], self.K))
        if init is not None:
            coef, intercept = init.coef[:, self.columns], init.intercept[self.columns]
            theta[:-1] = coef * self.unit[:, None]
            theta[-1] = intercept + self.mean @ coef
        return theta

    def head(self, theta: Array | None) -> Head:
        scores = isinstance(self.problem.loss, Squared)
        n_classes = self.problem.targets.shape[1]
        head = constant_head(self.A.shape[1] - 1, n_classes, self.present, scores)
        if theta is not None:
            theta = theta.reshape(-1, self.K)
            coef = theta[:-1] / self.unit[:, None]
            head.coef[:, self.columns] = coef
            intercept = theta[-1] - self.mean @ coef
            # Softmax leaves a common shift of the intercepts free: centre them.
            free = self.K > 1 and not scores
            head.intercept[self.columns] = intercept - (intercept.mean() if free else 0.0)
        return head

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        theta = theta.reshape(-1, self.K)
        values, slopes = value_and_gradient(self.problem.loss, self.A @ theta, self.targets)
        away = theta - self.centre
        value = np.sum(self.weights[:, 0] * values) + np.sum(self.penalty * away**2) / 2
        return float(value), (self.A.T @ (self.weights * slopes) + self.penalty * away).ravel()

    def hessian(self, theta: Array) -> LinearOperator:
        logits = self.A @ theta.reshape(-1, self.K)

        def product(vector: Array) -> Array:
            direction = vector.reshape(-1, self.K)
            second = curvature(self.problem.loss, logits, self.targets, self.A @ direction)
            return (self.A.T @ (self.weights * second) + self.penalty * direction).ravel()

        return LinearOperator((theta.size, theta.size), matvec=product, dtype=np.float64)


def _polish(objective: _Objective, theta: Array, tol: float) -> Array:
    """Newton steps judged by the gradient: L-BFGS stalls where the value has no digits left."""
    gradient = objective.value_and_gradient(theta)[1]
    for _ in range(20):
        norm = np.abs(gradient).max()
        if norm <= tol:
            break
        step, _ = cg(objective.hessian(theta), -gradient, rtol=1e-3, maxiter=2_000)
        trial = theta + step
        trial_gradient = objective.value_and_gradient(trial)[1]
        if not np.abs(trial_gradient).max() < norm:
            break
        theta, gradient = trial, trial_gradient
    return theta
