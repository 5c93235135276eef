"""Approximate inverse Hessians of a batch of heads: one for all heads over a block of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from w2s_groups.heads.products import add_lower, lower_flops

DUAL = 0.8  # of the features: with fewer rows the system of the rows is the smaller one


class Preconditioner:
    """(Xᵀ diag(h) X + penalty)⁻¹ for X (m, D), curvatures h (m,) of its rows, penalty (D,).

    The last column of X is constant. With few rows it is Λ⁻¹ − (LΛ⁻¹)ᵀ(LΛ⁻¹) for L the rows scaled
    by the inverse root of the (m, m) system (Woodbury); the unpenalised intercept then has the
    rows' curvature as its penalty. flops: of making it; each: of one product with it.
    """

    def __init__(self, X: Tensor, h: Tensor, penalty: Tensor) -> None:
        m, D = X.shape
        self.h, self.penalty = h.to(X.dtype), penalty.to(X.dtype)
        # Cover the rounding of the products, or Cholesky fails on collinear features.
        self.rounding = 1e-6 if X.dtype == torch.float32 else 1e-14
        self.dual = m < DUAL * D
        self.flops, self.each = self.cost(m, D), 4.0 * m * D if self.dual else 2.0 * D**2
        (self._of_rows if self.dual else self._of_features)(X)

    @staticmethod
    def cost(m: int, D: int) -> float:
        """Operations of making one."""
        if m < DUAL * D:
            return lower_flops(D, m) + m**3 / 3 + float(m) ** 2 * D
        return lower_flops(m + D, D) + 4 / 3 * D**3

    def _of_features(self, X: Tensor) -> None:
        D = X.shape[1]
        B = X.new_zeros(D, D)
        add_lower(B, X * self.h[:, None], X)
        B.diagonal().add_(self.penalty)
        B.diagonal().add_(self.rounding * (B.diagonal().max() + 1e-30))
        root = _root(B)
        # cholesky_inverse is LAPACK's potri, fifty times slower here than this product.
        eye = torch.eye(D, dtype=B.dtype, device=B.device)
        inverse = torch.linalg.solve_triangular(root, eye, upper=False)
        P = torch.zeros_like(B)
        add_lower(P, inverse, inverse)
        self.P = P.tril_() + P.tril(-1).T

    def _of_rows(self, X: Tensor) -> None:
        diagonal = (self.h @ X**2) + self.penalty
        weight = self.penalty + self.rounding * (diagonal.max() + 1e-30)
        weight[-1] = torch.maximum(weight[-1], self.h.sum())
        rows = X * self.h.clamp_min(0).sqrt()[:, None] / weight.sqrt()
        M = X.new_zeros(len(X), len(X))
        columns = rows.T.contiguous()
        add_lower(M, columns, columns)
        M.diagonal().add_(1.0)
        self.scale = weight.rsqrt()
        self.rows = torch.linalg.solve_triangular(_root(M), rows, upper=False) * self.scale

    def times(self, G: Tensor) -> Tensor:
        """(r, D) products with the rows of G (r, D)."""
        product: Tensor = G @ self.rows.T @ self.rows if self.dual else G @ self.P
        return G * self.scale**2 - product if self.dual else product


def _root(B: Tensor) -> Tensor:
    """Lower Cholesky factor; in float64 where float32 does not carry it."""
    root, failed = torch.linalg.cholesky_ex(B)
    if bool(failed):
        root = torch.linalg.cholesky(B.to(torch.float64)).to(B.dtype)
    found: Tensor = root
    return found
