"""The curvature pairs of L-BFGS for many heads at once, and directions from them in two products.

The compact form (Byrd, Nocedal and Schnabel 1994, theorem 2.2) of what the two-loop recursion
gives: with pairs s, y in the columns of S and Y, R the upper triangle of SᵀY, D its diagonal and
P the first inverse Hessian,

    H g = γ P g + S u − γ P Y p,   p = R⁻¹ Sᵀg,   u = R⁻ᵀ ((D + γ YᵀPY) p − γ YᵀP g).

All pairs of a head are read twice an iteration, not thirteen times as by the recursion.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class History:
    """At most `size` pairs of each of n heads of w parameters, the oldest overwritten first.

    Buffers: s, P y (n, 2 size, w) and y (n, size, w) in the dtype of the products. Small float64
    matrices (n, size, size) by slot: sy, sᵢ·yⱼ where pair i is not newer than j, and ypy, yᵢ·P yⱼ.
    used: (n, size) pairs that count.
    """

    def __init__(self, n: int, w: int, size: int, like: Tensor) -> None:
        self.size, self.taken = size, 0
        self.pairs = like.new_zeros(n, 2 * size, w)
        self.y = like.new_zeros(n, size, w)
        self.sy = torch.zeros(n, size, size, dtype=torch.float64, device=like.device)
        self.ypy = torch.zeros_like(self.sy)
        self.used = torch.zeros(n, size, dtype=torch.bool, device=like.device)

    def keep(self, mask: Tensor) -> None:
        """Drop the heads outside the mask."""
        for name in ("pairs", "y", "sy", "ypy", "used"):
            setattr(self, name, getattr(self, name)[mask])

    def forget(self, heads: Tensor) -> None:
        """Drop all pairs of the heads in the mask."""
        self.used[heads] = False

    def add(self, s: Tensor, y: Tensor, py: Tensor) -> None:
        """Pair (n, w) of every head; one whose s·y drowns in rounding does not count."""
        slot, self.taken = self.taken % self.size, self.taken + 1
        self.pairs[:, slot], self.pairs[:, self.size + slot], self.y[:, slot] = s, py, y
        products = torch.bmm(self.pairs, y[:, :, None]).squeeze(2).to(torch.float64)
        self.sy[:, :, slot], own = products[:, : self.size], products[:, self.size :]
        self.ypy[:, :, slot], self.ypy[:, slot] = own, own
        noise = 1e-9 * s.norm(dim=1) * y.norm(dim=1)
        self.used[:, slot] = products[:, slot] > noise

    def renew(self, apply: Callable[[Tensor], Tensor]) -> None:
        """P has changed: `apply` gives P y of y (n, size, w)."""
        py = apply(self.y)
        self.pairs[:, self.size :] = py
        self.ypy = torch.bmm(self.y, py.mT).to(torch.float64)

    def direction(self, g: Tensor, pg: Tensor) -> Tensor:
        """−H g (n, w) of gradients g and P g."""
        if not self.taken:
            return -pg
        count = min(self.taken, self.size)
        # Slots from the oldest to the newest.
        order = [(self.taken - count + k) % self.size for k in range(count)]
        used = self.used[:, order]
        both = used[:, :, None] & used[:, None, :]
        zero = torch.zeros((), dtype=torch.float64, device=g.device)
        sy = torch.where(both, self.sy[:, order][:, :, order], zero)
        ypy = torch.where(both, self.ypy[:, order][:, :, order], zero)
        diagonal = sy.diagonal(dim1=1, dim2=2)
        # γ of the newest pair, as the recursion has it; pairs that do not count are rows of 1.
        newest = ypy[:, -1, -1]
        gamma = torch.where(newest > 0, diagonal[:, -1] / newest, torch.ones_like(newest))[:, None]
        R = sy.triu() + torch.diag_embed((~used).to(torch.float64))
        along = torch.bmm(self.pairs, g[:, :, None]).squeeze(2).to(torch.float64)
        at = along.view(len(g), 2, self.size)[:, :, order].masked_fill(~used[:, None], 0.0)
        p = torch.linalg.solve_triangular(R, at[:, 0, :, None], upper=True).squeeze(2)
        right = diagonal * p + gamma * (torch.bmm(ypy, p[:, :, None]).squeeze(2) - at[:, 1])
        u = torch.linalg.solve_triangular(R.mT, right[:, :, None], upper=False).squeeze(2)
        weights = torch.zeros_like(along).view(len(g), 2, self.size)
        weights[:, 0, order], weights[:, 1, order] = u, -gamma * p
        weights = weights.masked_fill(~self.used[:, None], 0.0).flatten(1).to(g.dtype)
        step = torch.bmm(weights[:, None], self.pairs).squeeze(1)
        return step.addcmul_(gamma.to(g.dtype), pg).neg_()
