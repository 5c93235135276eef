"""One Newton step of many heads on the same rows: Hessians, their inverses, conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

CG_LIMIT = 400
# Residuals at which conjugate gradients end, as shares of the first: in the norm of the inverse
# where the step is the last, of the gradient where another follows.
CG_TOL, CG_ROUGH = 1e-4, 1e-2
# Rows (or features, if fewer) up to which every head has a factorisation of its own.
OWN = 1_100
# Penalties below this count as this in an inverse: it must not blow up rounding in directions that
# no row has.
LEAST = 1e-9
DRIFT = 1.0  # move of a logit after which a factorised Hessian is made anew


@dataclass(eq=False)
class Rows:
    """The rows of some heads. X: (n, d) in the units of `problem.units`, float64; l2.

    fast: the same in float32, for what need not be exact.
    unit: (d,) of those units, so that l2 / unit² is each coefficient's penalty.
    kernel: (n, n) float32, products of the rows in the features' own units; None where n > d or
        the penalties are too small for it.
    precision: of the factors, float32 or float64.
    """

    X: Tensor
    fast: Tensor
    l2: float
    unit: Tensor
    kernel: Tensor | None
    precision: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.penalty = self.l2 / self.unit**2
        self.flops = 0.0

    def exact(self) -> Rows:
        """The same rows for features of wild scales: factors in float64, of the features."""
        return Rows(self.X, self.X, self.l2, self.unit, None, torch.float64)

    def logits(self, theta: Theta) -> Tensor:
        """(P, K, n)."""
        self.flops += 2.0 * theta.v.numel() * len(self.X)
        return theta.v @ self.X.T + theta.b[..., None]

    def pull(self, R: Tensor) -> Theta:
        """Xᵀ of row gradients (P, K, n)."""
        self.flops += 2.0 * R.numel() * self.X.shape[1]
        return Theta(R @ self.X, R.sum(-1))


@dataclass(eq=False)
class Theta:
    """Parameters of P heads with K logits: v (P, K, d) in the units, b (P, K) intercepts."""

    v: Tensor
    b: Tensor

    def add(self, other: Theta, factor: Tensor) -> Theta:
        """self + factor · other; factor: (P,)."""
        by = factor[:, None]
        return Theta(self.v + by[..., None] * other.v, self.b + by * other.b)

    def dot(self, other: Theta) -> Tensor:
        """(P,)."""
        return (self.v * other.v).sum((1, 2)) + (self.b * other.b).sum(1)

    def at(self, mask: Tensor) -> Theta:
        return Theta(self.v[mask], self.b[mask])


@dataclass(eq=False)
class Heads:
    """What P heads on the same rows are fitted to.

    targets: (P, K, n); weights: (P, 1, n) that sum to 1; offset: (P, K, n) logits to add, or None.
    """

    targets: Tensor
    weights: Tensor
    offset: Tensor | None = None

    def at(self, mask: Tensor) -> Heads:
        offset = None if self.offset is None else self.offset[mask]
        return Heads(self.targets[mask], self.weights[mask], offset)

    def shifted(self, logits: Tensor) -> Tensor:
        """(P, K, n) with the offset."""
        return logits if self.offset is None else logits + self.offset


@dataclass(eq=False)
class Hessian:
    """The Hessians of P heads, never formed. diagonal: (P, K, n) curvature of each logit's loss.

    product: (P, K, n) changes of the logits -> those of the losses' gradients, not weighted.
    """

    rows: Rows
    weights: Tensor
    diagonal: Tensor
    product: Callable[[Tensor], Tensor]

    def times(self, p: Theta) -> tuple[Theta, Tensor]:
        """The product with p, and the logits of p."""
        z = self.rows.logits(p)
        pulled = self.rows.pull(self.product(z).mul_(self.weights))
        return Theta(pulled.v + self.rows.penalty * p.v, pulled.b), z


class Inverse:
    """About (Σ_i h_i x_iᵀx_i + penalty)⁻¹ of every logit, with curvatures h (G, K, n) of rows.

    What couples the classes is left out. G is P, or 1 where all heads share their mean. With
    centre c = Σ h_i x_i / Σ h_i and intercept
    b + c·v the Hessian falls apart into that of v and Σ h, and v's is that of the rows' kernel
    where they are fewer than the features.
    """

    def __init__(self, rows: Rows, P: int, K: int, own: bool) -> None:
        """own: whether every head must have its own, at any cost."""
        self.rows = rows
        self.penalty = rows.penalty.clamp_min(LEAST)
        n, d = rows.X.shape
        self.own = own or min(n, d) <= OWN
        G = P if self.own else 1
        new = rows.X.new_empty
        self.h, self.total, self.centre = new(G, K, n), new(G, K), new(G, K, d)
        size = n if rows.kernel is not None else d
        self.root = new(G, K, size, size, dtype=rows.precision).mT  # in LAPACK's order of columns
        self.scratch, self.failed = new(size, size, dtype=rows.precision), new(0, dtype=torch.int32)
        self.drift = torch.full((G,), torch.inf, dtype=torch.float64, device=rows.X.device)
        self.now: list[Tensor] = []

    def update(self, left: Tensor, diagonal: Tensor, weights: Tensor) -> None:
        """Serve the heads `left`, with new factors where the logits have drifted."""
        h = diagonal.clamp_min(0.0) * weights
        if not self.own:
            left, h = left[:1] * 0, h.mean(0, keepdim=True)
        stale = self.drift[left] > DRIFT
        for index, curve in zip(left[stale].tolist(), h[stale], strict=True):
            for k, of_class in enumerate(curve):
                self._factorise((index, k), of_class)
        self.drift[left[stale]] = 0.0
        using: slice | Tensor = slice(None) if len(left) == len(self.root) else left
        half = self.h.sqrt().to(self.rows.precision)
        self.now = [part[using] for part in (self.root, half, self.total, self.centre)]

    def moved(self, left: Tensor, change: Tensor) -> None:
        """Heads `left` have moved a logit by as much as change."""
        if self.own:
            self.drift[left] += change
        else:
            self.drift += change.amax()

    def _factorise(self, index: tuple[int, int], h: Tensor) -> None:
        rows = self.rows
        total = h.sum().clamp_min(1e-300)
        self.h[index], self.total[index], self.centre[index] = h, total, (h / total) @ rows.X
        root = h.sqrt()
        if rows.kernel is None:
            X = ((rows.X - self.centre[index]) * root[:, None]).to(rows.precision)
            A = torch.matmul(X.T, X, out=self.scratch)
            A.diagonal().add_(self.penalty.to(rows.precision))
        else:
            # k_ij − v_i − v_j + w·v, v = kernel w: the kernel of centred rows.
            w = (h / total).to(torch.float32)
            v = rows.kernel @ w
            root = (root / rows.l2**0.5).to(torch.float32)
            A = torch.mul(rows.kernel, root, out=self.scratch).mul_(root[:, None])
            u = (v - (w @ v) / 2) * root
            A.addmm_(torch.stack([u, root], dim=1), torch.stack([root, u]), alpha=-1)
            A.diagonal().add_(1.0)
        # Rounding must not make it singular; what it shifts, conjugate gradients make good.
        A.diagonal().add_(4 * torch.finfo(A.dtype).eps * A.diagonal().amax())
        out = self.root[index], self.failed
        while bool(torch.linalg.cholesky_ex(A, out=out)[1]):
            A.diagonal().add_(1e-5 * A.diagonal().amax())

    def times(self, g: Theta) -> Theta:
        """The product with g."""
        rows = self.rows
        _, half, total, c = self.now
        v = g.v - g.b[..., None] * c
        if rows.kernel is None:
            v = self._solve(v).to(torch.float64)
        else:
            u = v / self.penalty
            fast, low = rows.fast, rows.precision
            s = half * (u.to(low) @ fast.T - (u * c).sum(-1, keepdim=True).to(low))
            s = half * self._solve(s)
            v = u - (s @ fast - s.sum(-1, keepdim=True) * c) / self.penalty
        return Theta(v, g.b / total - (v * c).sum(-1))

    def _solve(self, B: Tensor) -> Tensor:
        """(P, K, m) by the factors, in their precision."""
        right = B.to(self.rows.precision)
        # Heads that share a factor are its right-hand sides.
        right = right[..., None] if self.own else right.permute(1, 2, 0)[None]
        half = torch.linalg.solve_triangular(self.now[0], right, upper=False)
        found: Tensor = torch.linalg.solve_triangular(self.now[0].mT, half, upper=True)
        return found[..., 0] if self.own else found[0].permute(2, 0, 1)


def conjugate_gradients(
    hessian: Hessian, inverse: Inverse, down: Theta, tol: float
) -> tuple[Theta, Tensor, Tensor]:
    """Newton steps from minus the gradients, the moves of the logits (P, K, n), and the sound ones.

    Every head stops by itself: where its residual is small, or at a direction of no curvature. A
    step that moves a logit by more than tol is not the last, and need not be exact. A step that
    ended for another reason than a small residual is not sound.
    """
    r, s = down, inverse.times(down)
    x = Theta(torch.zeros_like(s.v), torch.zeros_like(s.b))
    dz = torch.zeros_like(hessian.diagonal)
    p = s
    rho = first = r.dot(s)
    on = rho > 0
    sound = torch.zeros_like(on)
    for k in range(CG_LIMIT):
        q, z = hessian.times(p)
        curve = p.dot(q)
        flat = on & ~(curve > 0)
        if k == 0:  # the preconditioned gradient itself, if it is all there is
            alpha = torch.where(curve > 0, rho / curve, 1.0).where(on, 0.0)
        else:
            alpha = torch.where(on & ~flat, rho / curve, 0.0)
        x, r = x.add(p, alpha), r.add(q, -alpha)
        dz = dz + alpha[:, None, None] * z
        on = on & ~flat
        rough = (r.dot(r) <= CG_ROUGH**2 * down.dot(down)) & (dz.abs().amax((1, 2)) > tol)
        sound, on = sound | (on & rough), on & ~rough
        if not bool(on.any()):
            break
        s = inverse.times(r)
        new = r.dot(s)
        small = (new <= CG_TOL**2 * first) & (new >= 0)
        sound, on = sound | (on & small), on & (new > 0) & ~small
        if not bool(on.any()):
            break
        beta = torch.where(on, new / rho, 0.0)
        p, rho = s.add(p, beta), new
    return x, dz, sound
