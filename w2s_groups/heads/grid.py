"""Every head of a grid at once: problems that share features are solved by shared products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from w2s_groups.errors import InputError
from w2s_groups.heads.batch import HISTORY, Batch, Descent
from w2s_groups.heads.logistic import fit
from w2s_groups.heads.problem import (
    Head,
    Loss,
    Problem,
    check,
    check_features,
    constant_head,
    normalised_weights,
    present_classes,
    units,
)

Matrices = Mapping[str, NDArray[np.float32]]
LIMIT = 2_000  # iterations of one pass; the reference path takes over after two


@dataclass(frozen=True)
class _Family:
    """What problems must agree on to share products."""

    side: str
    l2: float
    loss: Loss
    n_classes: int
    present: tuple[int, ...]

    @property
    def K(self) -> int:
        return 1 if self.n_classes == 2 else len(self.present)


def solve(
    features: Matrices,
    problems: Sequence[Problem],
    *,
    tol: float,
    memory_limit: int,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Head]:
    """Heads of all problems, in their order, each as `logistic.fit` defines it.

    features: side -> (N, d). A head's gradient ends at most `tol`, so two runs that batch
    differently agree to that. memory_limit: bytes that a block of heads may take beside the
    features; a block is made smaller until it fits. progress: called with (done, total).
    Raises InputError for a problem that cannot be solved, before any is.
    """
    for side in {problem.side for problem in problems}:
        check_features(side, features[side])
    for problem in problems:
        check(problem, features[problem.side].shape)
    heads: list[Head | None] = [None] * len(problems)
    done = 0
    for family, block in blocks(features, problems, memory_limit):
        members = [problems[i] for i in block]
        solved = _solve(features[family.side], family, members, tol, device)
        for i, head in zip(block, solved, strict=True):
            heads[i] = head
        done += len(block)
        if progress is not None:
            progress(done, len(problems))
    return [head for head in heads if head is not None]


def blocks(
    features: Matrices, problems: Sequence[Problem], memory_limit: int
) -> Iterator[tuple[_Family, list[int]]]:
    """Problems that are solved together, as many as fit into `memory_limit` bytes.

    InputError where a single head does not fit, with the bytes that it needs.
    """
    families: dict[_Family, list[int]] = {}
    for i, problem in enumerate(problems):
        present = tuple(int(k) for k in present_classes(problem))
        n_classes = problem.targets.shape[1]
        family = _Family(problem.side, problem.l2, problem.loss, n_classes, present)
        families.setdefault(family, []).append(i)
    for family, members in families.items():
        size = len(members)
        while (need := _largest(features, problems, family, members, size)) > memory_limit:
            if size == 1:
                raise InputError(
                    f"memory_limit={memory_limit} bytes is too little: one head on the "
                    f"{family.side} features needs {need}; raise it"
                )
            size = (size + 1) // 2
        for start in range(0, len(members), size):
            yield family, members[start : start + size]


def _largest(
    features: Matrices, problems: Sequence[Problem], family: _Family, members: list[int], size: int
) -> int:
    """Bytes of the most demanding block when `members` are cut into blocks of `size`."""
    return max(
        memory([problems[i] for i in members[at : at + size]], features[family.side].shape[1])
        for at in range(0, len(members), size)
    )


def memory(members: Sequence[Problem], d: int) -> int:
    """Bytes that solving `members` together takes at its height, beside the feature matrix."""
    m = len(_union(members))
    K = 1 if members[0].targets.shape[1] == 2 else members[0].targets.shape[1]
    # Rows and their scaled copy; preconditioner and its factor; per head: about eleven (K, m)
    # float64 arrays and, in float32, three histories and six more vectors of parameters.
    shared = 3 * 4 * m * (d + 1) + 3 * 8 * (d + 1) ** 2
    return shared + len(members) * K * (11 * 8 * m + 4 * (3 * HISTORY + 10) * (d + 1))


def _union(members: Sequence[Problem]) -> NDArray[np.int64]:
    return np.unique(np.concatenate([problem.rows for problem in members]))


def _solve(
    X: NDArray[np.float32], family: _Family, members: list[Problem], tol: float, device: str
) -> list[Head]:
    d = X.shape[1]
    if len(family.present) == 1:
        return [constant_head(d, family.n_classes, np.array(family.present)) for _ in members]
    mean, unit = units(X, family.l2)
    union = _union(members)
    A = np.ones((len(union), d + 1))
    A[:, :-1] = (X[union] - mean) / unit
    penalty = torch.as_tensor(np.append(family.l2 / unit**2, 0.0), device=device)
    batch = _batch(family, members, union, mean, unit, device)
    V = batch.V

    def part(heads: torch.Tensor) -> Batch:
        return Batch(V[heads], batch.targets[heads], batch.weights[heads], batch.index[heads])

    def descent(dtype: torch.dtype) -> Descent:
        rows = torch.as_tensor(A, dtype=dtype, device=device)
        return Descent(rows, penalty, family.loss, family.K)

    V[:], _, _ = descent(torch.float32).minimise(part(batch.index), tol / 2, LIMIT)
    # A float32 gradient is not proof: float64 judges, and goes on where float32 could not.
    exact = descent(torch.float64)
    reached = exact.gradient_norms(part(batch.index)) <= tol
    if not bool(reached.all()):
        left = torch.nonzero(~reached).squeeze(1)
        V[left], reached[left], _ = exact.minimise(part(left), tol, LIMIT)
    heads = []
    for i, problem in enumerate(members):
        head = _head(family, V[i].cpu().numpy().reshape(family.K, d + 1).T, mean, unit)
        # What neither pass brought to tol, the reference path finishes or refuses.
        heads.append(head if reached[i] else fit(X, _from(problem, head), tol))
    return heads


def _from(problem: Problem, head: Head) -> Problem:
    return Problem(**{**vars(problem), "init": head})


def _batch(
    family: _Family,
    members: list[Problem],
    union: NDArray[np.int64],
    mean: NDArray[np.float64],
    unit: NDArray[np.float64],
    device: str,
) -> Batch:
    """Targets and weights of each head on the union of rows; a repeated row adds its weights."""
    P, K, m, d = len(members), family.K, len(union), len(mean)
    targets, weights = np.zeros((P, K, m)), np.zeros((P, 1, m))
    V = np.zeros((P, K, d + 1))
    columns = np.array([1]) if family.n_classes == 2 else np.array(family.present)
    for i, problem in enumerate(members):
        at = np.searchsorted(union, problem.rows)
        own = normalised_weights(problem)
        np.add.at(weights[i, 0], at, own)
        # Every loss here is linear in its targets: a repeated row has their weighted mean.
        for k, column in enumerate(columns):
            np.add.at(targets[i, k], at, own * problem.targets[:, column])
        targets[i] /= np.where(weights[i] > 0, weights[i], 1.0)
        if problem.init is not None:
            logits = np.array([0]) if family.n_classes == 2 else columns
            coef = problem.init.coef[:, logits]
            V[i, :, :-1] = (coef * unit[:, None]).T
            V[i, :, -1] = problem.init.intercept[logits] + mean @ coef
    return Batch(
        torch.as_tensor(V.reshape(P, -1), device=device),
        torch.as_tensor(targets, device=device),
        torch.as_tensor(weights, device=device),
        torch.arange(P, device=device),
    )


def _head(
    family: _Family,
    theta: NDArray[np.float64],
    mean: NDArray[np.float64],
    unit: NDArray[np.float64],
) -> Head:
    """Back from centred, scaled features; theta: (d + 1, K)."""
    columns = np.array([0]) if family.n_classes == 2 else np.array(family.present)
    head = constant_head(len(mean), family.n_classes, np.array(family.present))
    coef = theta[:-1] / unit[:, None]
    intercept = theta[-1] - mean @ coef
    head.coef[:, columns] = coef
    # Softmax leaves a common shift of the intercepts free: centre them.
    head.intercept[columns] = intercept - (intercept.mean() if family.K > 1 else 0.0)
    return head
