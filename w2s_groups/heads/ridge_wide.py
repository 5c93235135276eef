"""Ridge targets of several overlapping sets side by side, so that all share wide matrix products.

A product with twenty columns runs at a sixth of the rate of one with hundreds, and the rows of
each set would be copied first: here the union of the rows is copied once, and columns are zero off
their own set.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from w2s_groups.heads.ridge import RowSet


class Wide:
    """Sets with targets Y_i (n_i, R_i) over X (u, d), the rows of their union."""

    def __init__(self, X: Tensor, sets: Sequence[RowSet], targets: Sequence[Tensor]) -> None:
        """sets: whose `matrix` is X."""
        self.X, self.sets, self.targets = X, sets, targets
        self.widths = [Y.shape[1] for Y in targets]

    def products(self, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        """Σ x_iᵀc_i (d, R_i) over the rows of each set, of its part c (n_i, R_i)."""
        spread = self.X.new_zeros(len(self.X), sum(self.widths))
        for rows, part, columns in zip(
            self.sets, parts, torch.split(spread, self.widths, dim=1), strict=True
        ):
            columns[rows.where] = part
        return torch.split(self.X.T @ spread, self.widths, dim=1)

    def gradient_norms(
        self, thetas: Sequence[Tensor], levels: Sequence[Tensor], D: Tensor
    ) -> list[float]:
        """Largest entry of each set's gradient at θ_i (d, R_i), b_i (R_i,), from its rows."""
        fitted = self.X @ torch.cat(list(thetas), dim=1)
        residuals = [
            rows.w[:, None] * (columns[rows.where] + b - Y)
            for rows, columns, b, Y in zip(
                self.sets,
                torch.split(fitted, self.widths, dim=1),
                levels,
                self.targets,
                strict=True,
            )
        ]
        slopes = self.products(residuals)
        return [
            float(torch.maximum((slope + D[:, None] * theta).abs().amax(), r.sum(0).abs().amax()))
            for slope, theta, r in zip(slopes, thetas, residuals, strict=True)
        ]


def row_sets(X: Tensor, where: Sequence[Tensor], weights: Sequence[Tensor]) -> list[RowSet]:
    """Sets of rows of X (u, d), at positions (n_i,) with weights (n_i,): their means at once."""
    spread = X.new_zeros(len(where), len(X))
    for one, rows, w in zip(spread, where, weights, strict=True):
        one[rows] = w
    means = spread @ X
    return [RowSet(X, *parts) for parts in zip(where, weights, means, strict=True)]
