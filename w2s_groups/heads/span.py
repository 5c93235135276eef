"""Heads as sums of their own rows: w = Σ a_i x_i / l2, as the optimum of every loss has it.

All that Newton steps need are then products of the rows with each other, and a step costs a few
products with an (n, n) kernel in place of the features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from w2s_groups.heads.batch_losses import curvature, value_and_gradient
from w2s_groups.heads.newton_step import Heads, Hessian, Inverse, Rows, Theta, conjugate_gradients
from w2s_groups.heads.problem import CrossEntropy


class Span(Rows):
    """As `Rows`, with parameters v (P, K, n), the a of each row.

    kernel: (n, n) float64, products of the centred rows in their own units, by l2.
    """

    def __init__(self, X: Tensor, l2: float, unit: Tensor, kernel: Tensor) -> None:
        super().__init__(X, l2, unit)
        self.kernel, self.fast = kernel, kernel.to(torch.float32)

    def inverse(self, P: int, K: int, own: bool) -> Inverse:
        return SpanInverse(self, P, K, own)

    def begin(self, start: Theta, heads: Heads, inverse: Inverse) -> Theta:
        """The minimum of the quadratic model of the (convex) cross-entropy around the start."""
        z = self.given(start)
        loss, Z = CrossEntropy(), heads.shifted(z)
        R = value_and_gradient(loss, Z, heads.targets)[1]
        hessian = Hessian(self, heads.weights, *curvature(loss, Z, heads.targets))
        R = (hessian.product(z) - R) * heads.weights
        everyone = torch.arange(len(R), device=R.device)
        inverse.update(everyone, hessian.diagonal, heads.weights)
        down = Theta(R, R.sum(-1))
        at, Z, _ = conjugate_gradients(hessian, inverse, down, torch.inf)
        inverse.moved(everyone, (Z - z).abs().amax((1, 2)))
        return at

    def logits(self, theta: Theta) -> Tensor:
        self.flops += 2.0 * theta.v.numel() * len(self.kernel)
        return theta.v @ self.kernel + theta.b[..., None]

    def along(self, theta: Theta) -> Tensor:
        assert theta.y is not None
        return theta.y + theta.b[..., None]

    def gradient(self, R: Tensor, v: Tensor) -> Theta:
        return Theta(R + v, R.sum(-1))

    def pull(self, v: Tensor) -> Tensor:
        return v

    def features(self, theta: Theta) -> Theta:
        """The parameters of features, in their units."""
        return Theta((theta.v @ self.X) / self.penalty, theta.b)


class SpanInverse(Inverse):
    """By factors of (n, n): those of 1 + √h kernel √h, the kernel centred by weights h."""

    def __init__(self, rows: Span, P: int, K: int, own: bool) -> None:
        self.rows = rows
        n = len(rows.kernel)
        super().__init__(n, n, P, K, own, rows.fast)

    def _matrix(self, h: Tensor) -> Tensor:
        # k_ij − v_i − v_j + w·v, v = kernel w: the kernel of centred rows.
        kernel = self.rows.fast
        w, root = (h / h.sum().clamp_min(1e-300)).to(kernel.dtype), h.sqrt().to(kernel.dtype)
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
        c = g.v - g.b[..., None] * w
        y = self._image(c)
        s = half * self._solve(half * (y - (w * y).sum(-1, keepdim=True)))
        c = c - s + s.sum(-1, keepdim=True) * w
        y = self._image(c)
        return Theta(c, g.b / self.now[2] - (w * y).sum(-1), y)

    def _image(self, c: Tensor) -> Tensor:
        """Logits (P, K, n) of c without intercepts, from products in float32."""
        self.rows.flops += 2.0 * c.numel() * c.shape[-1]
        fast: Tensor = self.rows.fast
        return (c.to(fast.dtype) @ fast).to(torch.float64)
