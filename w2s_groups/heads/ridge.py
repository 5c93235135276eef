"""One ridge factorisation and what it gives: heads of many targets, leverages, exact gradients.

With rows x_i in the centred, scaled features of `problem.units`, weights w_i that sum to 1 and
their weighted mean x̄, a head minimises ½ Σ w_i (x_iθ + b − y_i)² + ½ Σ_j D_j θ_j², D = l2/unit².
The intercept is free, so b = ȳ − x̄θ and θ = A⁻¹ Σ w_i (x_i − x̄)ᵀ(y_i − ȳ) with
A = Σ w_i (x_i − x̄)ᵀ(x_i − x̄) + D. Fewer rows than features: the same through the rows' kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RowSet:
    """Rows of one draw. X: (n, d) float64 in the units; w: (n,) summing to 1; mean: (d,) x̄."""

    X: Tensor
    w: Tensor
    mean: Tensor

    @classmethod
    def of(cls, X: Tensor, w: Tensor) -> RowSet:
        return cls(X, w, w @ X)

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


class Primal:
    """Cholesky of A (d, d)."""

    def __init__(self, rows: RowSet, moment: Tensor, D: Tensor, scale: float = 1.0) -> None:
        """moment: (d, d), scale times which is Σ w_i x_iᵀx_i."""
        self.rows = rows
        A = torch.addr(moment, rows.mean, rows.mean, beta=scale, alpha=-1)
        A.diagonal().add_(D)
        self.root = _cholesky(A)

    def fit(self, Y: Tensor) -> Tensor:
        rows = self.rows
        weighted = rows.w[:, None] * (Y - rows.w @ Y)
        return self.inverse(rows.X.T @ weighted)  # its columns sum to 0: x̄ drops out

    def inverse(self, G: Tensor) -> Tensor:
        return torch.cholesky_solve(G, self.root)

    def leverages(self) -> Tensor:
        centred = (self.rows.X - self.rows.mean).T
        half: Tensor = torch.linalg.solve_triangular(self.root, centred, upper=False)
        return self.rows.w * (1 + half.square().sum(0))


class Dual:
    """Cholesky of K + I (n, n), K_ij = sqrt(w_i w_j) (x_i − x̄) D⁻¹ (x_j − x̄)ᵀ."""

    def __init__(self, rows: RowSet, kernel: Tensor, D: Tensor) -> None:
        """kernel: (n, n) x_i D⁻¹ x_jᵀ, not centred."""
        self.rows, self.D = rows, D
        means = kernel @ rows.w
        centred = kernel - means - means[:, None] + rows.w @ means
        self.half = rows.w.sqrt()[:, None]
        K = self.half * centred * self.half.T
        K.diagonal().add_(1)
        self.root = _cholesky(K)

    def _spread(self, a: Tensor) -> Tensor:
        """D⁻¹ Σ sqrt(w_i) (x_i − x̄)ᵀ a_i."""
        a = self.half * a
        return (self.rows.X.T @ a - torch.outer(self.rows.mean, a.sum(0))) / self.D[:, None]

    def fit(self, Y: Tensor) -> Tensor:
        return self._spread(torch.cholesky_solve(self.half * (Y - self.rows.w @ Y), self.root))

    def inverse(self, G: Tensor) -> Tensor:
        scaled = G / self.D[:, None]
        seen = self.half * (self.rows.X @ scaled - self.rows.mean @ scaled)
        return scaled - self._spread(torch.cholesky_solve(seen, self.root))

    def leverages(self) -> Tensor:
        # K (K + I)⁻¹ = I − (K + I)⁻¹, and the mean has leverage w_i.
        eye = torch.eye(len(self.root), dtype=self.root.dtype, device=self.root.device)
        half: Tensor = torch.linalg.solve_triangular(self.root, eye, upper=False)
        return self.rows.w + 1 - half.square().sum(0)


def solve(
    factor: Factor, rows: RowSet, Y: Tensor, D: Tensor, tol: float, rounds: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """θ (d, R), b (R,) and max |gradient| (R,), taken from the rows: at most tol if it can be.

    Whatever rounding the factor carries is repaired by steps of iterative refinement.
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


def _cholesky(A: Tensor) -> Tensor:
    """Lower factor, of A a rounding further from singular where A itself has none."""
    root: Tensor
    root, failed = torch.linalg.cholesky_ex(A)
    if bool(failed):
        A.diagonal().add_(1e-13 * len(A) * A.diagonal().amax())
        root = torch.linalg.cholesky(A)
    return root
