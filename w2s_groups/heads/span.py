"""Heads as sums of their own rows: w = Σ a_i x_i / l2, as the optimum of every loss has it.

All that Newton steps need are then products of the rows with each other, and a step costs a few
products with an (n, n) kernel in place of the features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from w2s_groups.heads.batch_losses import curvature, value_and_gradient
from w2s_groups.heads.newton_step import (
    Heads,
    Hessian,
    Inverse,
    Rows,
    Theta,
    conjugate_gradients,
)
from w2s_groups.heads.problem import CrossEntropy
from w2s_groups.heads.scratch import Scratch


class Span(Rows):
    """As `Rows`, with parameters v (P, K, n), the a_i / l2 of each row.

    kernel: (n, n) products of the centred rows in the features' own units, float64; fast: float32.
    """

    def __init__(
        self, X: Tensor, l2: float, unit: Tensor, scratch: Scratch, kernel: Tensor
    ) -> None:
        super().__init__(X, l2, unit, scratch)
        self.kernel = kernel
        self.fast = scratch.empty("fast", *kernel.shape, dtype=torch.float32).copy_(kernel)

    def inverse(self, P: int, K: int, own: bool) -> Inverse:
        return SpanInverse(self, P, K, own)

    def begin(self, start: Theta, heads: Heads, inverse: Inverse) -> Theta:
        """The minimum of the quadratic model of the cross-entropy around the start, or zero where
        that is lower."""
        z = self.given(start)
        loss, Z = CrossEntropy(), heads.shifted(z)
        _, R = value_and_gradient(loss, Z, heads.targets)
        hessian = Hessian(self, heads.weights, *curvature(loss, Z, heads.targets))
        R = (hessian.product(z) - R) * heads.weights
        everyone = torch.arange(len(R), device=R.device)
        inverse.update(everyone, hessian.diagonal, heads.weights)
        down = Theta(R, R.sum(-1))
        found, dz, _ = conjugate_gradients(hessian, inverse, down, torch.inf)
        assert found.y is not None
        losses = [value_and_gradient(loss, heads.shifted(x), heads.targets)[0] for x in (0 * z, dz)]
        rise = torch.linalg.vecdot(losses[1] - losses[0], heads.weights.squeeze(1))
        rise += (self.pull(found.v) * found.y).sum((1, 2)) / 2
        lower = rise < 0
        at = Theta(*(torch.zeros_like(part) for part in (found.v, found.b))).add(found, lower)
        inverse.moved(everyone, (torch.where(lower[:, None, None], dz, 0.0) - z).abs().amax((1, 2)))
        return at

    def logits(self, theta: Theta) -> Tensor:
        self.flops += 2.0 * theta.v.numel() * len(self.kernel)
        return theta.v @ self.kernel + theta.b[..., None]

    def along(self, theta: Theta) -> Tensor:
        assert theta.y is not None
        return theta.y + theta.b[..., None]

    def gradient(self, R: Tensor, v: Tensor) -> Theta:
        return Theta(R + self.pull(v), R.sum(-1))

    def pull(self, v: Tensor) -> Tensor:
        return self.l2 * v

    def features(self, theta: Theta) -> Theta:
        """The parameters of features, in their units."""
        return Theta((theta.v @ self.X) * self.unit**2, theta.b)


class SpanInverse(Inverse):
    """By factors of (n, n): those of 1 + √h kernel √h / l2, the kernel centred by weights h."""

    OWN = 2_000

    def __init__(self, rows: Span, P: int, K: int, own: bool) -> None:
        self.rows = rows
        super().__init__(rows, len(rows.kernel), P, K, own)

    def _matrix(self, h: Tensor) -> Tensor:
        # k_ij − v_i − v_j + w·v, v = kernel w: the kernel of centred rows.
        kernel = self.rows.fast
        w = (h / h.sum().clamp_min(1e-300)).to(kernel.dtype)
        root = (h / self.rows.l2).sqrt().to(kernel.dtype)
        v = kernel @ w
        A = torch.mul(kernel, root, out=self.scratch).mul_(root[:, None])
        u = (v - (w @ v) / 2) * root
        A.addmm_(torch.stack([u, root], dim=1), torch.stack([root, u]), alpha=-1)
        A.diagonal().add_(1.0)
        return A

    def _serve(self) -> None:
        _, h, total = self.now
        self.share, self.half = h / total[..., None], h.sqrt()

    def times(self, g: Theta) -> Theta:
        w, half = self.share, self.half
        v = (g.v - g.b[..., None] * w) / self.rows.l2
        y = self._image(v)
        s = half * self._solve(half * (y - (w * y).sum(-1, keepdim=True))) / self.rows.l2
        v = v - s + s.sum(-1, keepdim=True) * w
        y = self._image(v)
        return Theta(v, g.b / self.now[2] - (w * y).sum(-1), y)

    def _image(self, v: Tensor) -> Tensor:
        """Logits (P, K, n) of v without intercepts, from products in float32."""
        self.rows.flops += 2.0 * v.numel() * v.shape[-1]
        fast: Tensor = self.rows.fast
        return (v.to(fast.dtype) @ fast).to(torch.float64)
