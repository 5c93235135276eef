"""Symmetric sums of products of rows: half of the work of a general product."""

from __future__ import annotations

from torch import Tensor

PANEL = 256  # columns with which a product runs at full rate, and does little above the diagonal


def add_lower(total: Tensor, A: Tensor, B: Tensor, sign: float = 1.0) -> None:
    """Add sign·AᵀB, which is symmetric, to the lower triangle of total (d, d). A, B: (n, d).

    Above the diagonal there is anything afterwards: Cholesky factorisations do not look.
    """
    for start in range(0, len(total), PANEL):
        panel = slice(start, start + PANEL)
        total[start:, panel].addmm_(A[:, start:].T, B[:, panel], alpha=sign)


def lower_flops(n: int, d: int) -> float:
    """Operations of `add_lower` on n rows of d columns."""
    return float(sum(2 * n * (d - start) * min(PANEL, d - start) for start in range(0, d, PANEL)))
