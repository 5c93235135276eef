"""One ridge factorisation and what it gives: heads of many targets, leverages, exact gradients.

With rows x_i in the centred, scaled features of `problem.units`, weights w_i that sum to 1 and
their weighted mean x̄, a head minimises ½ Σ w_i (x_iθ + b − y_i)² + ½ Σ_j D_j θ_j², D = l2/unit².
The intercept is free, so b = ȳ − x̄θ and θ = A⁻¹ Σ w_i (x_i − x̄)ᵀ(y_i − ȳ) with
A = Σ w_i (x_i − x̄)ᵀ(x_i − x̄) + D. Fewer rows than features: the same through the rows' kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RowSet:
    """Rows of one draw: those at `where` (n,) of a feature matrix (N, d), float64 in the units.

    w: (n,) summing to 1; mean: (d,) x̄.
    """

    matrix: Tensor
    where: Tensor
    w: Tensor
    mean: Tensor

    @classmethod
    def of(cls, X: Tensor, w: Tensor) -> RowSet:
        """All rows of X (n, d)."""
        return cls(X, torch.arange(len(X), device=X.device), w, w @ X)

    @cached_property
    def X(self) -> Tensor:
        """(n, d), copied when it is first asked for: sets that go together never ask."""
        # index_select copies rows in parallel, which plain indexing does not.
        return torch.index_select(self.matrix, 0, self.where)

    def gradient(self, theta: Tensor, b: Tensor, Y: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the objective in θ (d, R) and b (R,), from the rows themselves."""
        residual = self.w[:, None] * (self.X @ theta + b - Y)
        return self.X.T @ residual + D[:, None] * theta, residual.sum(0)


class Factor(Protocol):
    """A⁻¹ of one set and l2."""

    def fit(self, Y: Tensor) -> Tensor:
        """θ (d, R) for targets Y (n, R)."""
        ...

    def inverse(self, G: Tensor) -> Tensor:
        """A⁻¹G of G (d, R)."""
        ...

    def leverages(self) -> Tensor:
        """(n,) diagonal of the matrix that takes the targets to the fitted values."""
        ...


def weighted(rows: RowSet, Y: Tensor) -> Tensor:
    """(n, R) w_i (y_i − ȳ), whose products with the rows are the right-hand sides of A."""
    return rows.w[:, None] * (Y - rows.w @ Y)


class Primal:
    """Cholesky of A (d, d)."""

    def __init__(self, rows: RowSet, moment: Tensor, D: Tensor, scale: float = 1.0) -> None:
        """moment: (d, d), scale times which is Σ w_i x_iᵀx_i; only its lower triangle is read."""
        self.rows = rows
        A = torch.addr(moment, rows.mean, rows.mean, beta=scale, alpha=-1)
        A.diagonal().add_(D)
        self.root = cholesky(A)

    def fit(self, Y: Tensor) -> Tensor:
        # The columns of the weighted targets sum to 0: x̄ drops out.
        return self.inverse(self.rows.X.T @ weighted(self.rows, Y))

    def inverse(self, G: Tensor) -> Tensor:
        return cholesky_solve(self.root, G)

    def leverages(self) -> Tensor:
        centred = (self.rows.X - self.rows.mean).T
        half: Tensor = torch.linalg.solve_triangular(self.root, centred, upper=False)
        return self.rows.w * (1 + half.square().sum(0))


def from_coefficients(G: Tensor, a: Tensor, rows: RowSet, D: Tensor) -> Tensor:
    """D⁻¹ Σ (x_i − x̄)ᵀ a_i (d, R), of G = Σ x_iᵀa_i (d, R) and a (n, R)."""
    return (G - torch.outer(rows.mean, a.sum(0))) / D[:, None]


class Dual:
    """Cholesky of K + I (n, n), K_ij = sqrt(w_i w_j) (x_i − x̄) D⁻¹ (x_j − x̄)ᵀ."""

    def __init__(self, rows: RowSet, kernel: Tensor, D: Tensor, scale: float = 1.0) -> None:
        """kernel: (n, n), scale times which is x_i D⁻¹ x_jᵀ, not centred."""
        self.rows, self.D = rows, D
        self.half = rows.w.sqrt()[:, None]
        # K_ij = h_i h_j (k_ij − v_i − v_j + w·v), v = kernel w: centred by one product of rank 2.
        h = self.half * scale**0.5
        v = (kernel @ rows.w)[:, None]
        u = h * (v - rows.w @ v / 2)
        K = (h * kernel).mul_(h.T)
        K.addmm_(torch.cat([u, h], dim=1), torch.cat([h, u], dim=1).T, alpha=-1)
        K.diagonal().add_(1)
        self.root = cholesky(K)

    def coefficients(self, Y: Tensor) -> Tensor:
        """(n, R) a for which θ is `from_coefficients`."""
        return self.half * cholesky_solve(self.root, self.half * (Y - self.rows.w @ Y))

    def fit(self, Y: Tensor) -> Tensor:
        a = self.coefficients(Y)
        return from_coefficients(self.rows.X.T @ a, a, self.rows, self.D)

    def inverse(self, G: Tensor) -> Tensor:
        scaled = G / self.D[:, None]
        seen = self.half * (self.rows.X @ scaled - self.rows.mean @ scaled)
        a = self.half * cholesky_solve(self.root, seen)
        return scaled - from_coefficients(self.rows.X.T @ a, a, self.rows, self.D)

    def leverages(self) -> Tensor:
        # K (K + I)⁻¹ = I − (K + I)⁻¹, and the mean has leverage w_i.
        eye = torch.eye(len(self.root), dtype=self.root.dtype, device=self.root.device)
        half: Tensor = torch.linalg.solve_triangular(self.root, eye, upper=False)
        return self.rows.w + 1 - half.square().sum(0)


def solve(
    factor: Factor, rows: RowSet, Y: Tensor, D: Tensor, tol: float, rounds: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """θ (d, R), b (R,) and max |gradient| (R,), taken from the rows: at most tol if it can be.

    Steps of iterative refinement repair the rounding that the factor carries.
    """
    theta = factor.fit(Y)
    b = rows.w @ Y - rows.mean @ theta
    for done in range(rounds + 1):
        slope, level = rows.gradient(theta, b, Y, D)
        norm = torch.maximum(slope.abs().amax(0), level.abs())
        if done == rounds or bool((norm <= tol).all()):
            break
        step = factor.inverse(slope - torch.outer(rows.mean, level))
        theta = theta - step
        b = b - level + rows.mean @ step
    return theta, b, norm


def leave_one_out(factor: Factor, rows: RowSet, Y: Tensor, theta: Tensor, b: Tensor) -> Tensor:
    """(R,) weighted mean squared error of each row under the fit without it, in closed form.

    The objective keeps its other weights and l2, so the error is e_i/(1 − h_i) exactly. A sample
    that was drawn repeatedly is one row of more weight, and is left out as a whole.
    """
    room = (1 - factor.leverages()).clamp_min(1e-12)[:, None]
    return rows.w @ ((rows.X @ theta + b - Y) / room).square()


def cholesky(A: Tensor) -> Tensor:
    """Lower factor, of A some roundings further from singular where A itself has none."""
    root: Tensor
    root, failed = torch.linalg.cholesky_ex(A)
    rounding = 1e-13 * len(A) * A.diagonal().amax()
    while bool(failed):
        A.diagonal().add_(rounding)
        root, failed = torch.linalg.cholesky_ex(A)
        rounding *= 10
    return root


def cholesky_solve(root: Tensor, B: Tensor) -> Tensor:
    """(root rootᵀ)⁻¹ B. Unlike torch.cholesky_solve it copies no factor."""
    half = torch.linalg.solve_triangular(root, B, upper=False)
    solution: Tensor = torch.linalg.solve_triangular(root.mT, half, upper=True)
    return solution
