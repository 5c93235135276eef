"""One Newton step of many heads on the same rows: Hessians, their inverses, conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from w2s_groups.heads.scratch import Scratch

CG_LIMIT = 400
# Residuals at which conjugate gradients end, in the norm of the inverse, as shares of the first:
# where the step is the last, and where another follows.
CG_TOL, CG_ROUGH = 1e-4, 1e-2
# Penalties below this count as this in an inverse: it must not blow up rounding in directions that
# no row has.
LEAST = 1e-9
DRIFT = 1.0  # move of a logit after which a factorised Hessian is made anew


@dataclass(eq=False)
class Rows:
    """The rows of some heads by their features. X: (n, d) in the units of `problem.units`; l2.

    unit: (d,) of those units, so that l2 / unit² is each coefficient's penalty.
    precision: of the factors, float32 or float64. What `Span` does otherwise is asked of it.
    """

    X: Tensor
    l2: float
    unit: Tensor
    scratch: Scratch
    precision: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.penalty = self.l2 / self.unit**2
        self.flops = 0.0

    def exact(self) -> Rows:
        """The same rows for features of wild scales: factors in float64, of the features."""
        return Rows(self.X, self.l2, self.unit, self.scratch, torch.float64)

    def given(self, start: Theta) -> Tensor:
        """(P, K, n) logits of parameters of features."""
        self.flops += 2.0 * start.v.numel() * len(self.X)
        return start.v @ self.X.T + start.b[..., None]

    def begin(self, start: Theta, heads: Heads, inverse: Inverse) -> Theta:
        """Where Newton steps begin, near parameters of features."""
        return start

    def features(self, theta: Theta) -> Theta:
        """Parameters of features."""
        return theta

    def inverse(self, P: int, K: int, own: bool) -> Inverse:
        """An inverse Hessian for P heads of K logits."""
        return FeatureInverse(self, P, K, own)

    def logits(self, theta: Theta) -> Tensor:
        """(P, K, n)."""
        return self.given(theta)

    def along(self, theta: Theta) -> Tensor:
        """(P, K, n) logits of a direction that an inverse gave."""
        return self.logits(theta)

    def gradient(self, R: Tensor, v: Tensor) -> Theta:
        """Gradient from weighted row gradients R (P, K, n) and the penalty's part at v."""
        self.flops += 2.0 * R.numel() * self.X.shape[1]
        return Theta(R @ self.X + self.pull(v), R.sum(-1))

    def pull(self, v: Tensor) -> Tensor:
        """The gradient of the penalty at v."""
        return self.penalty * v


@dataclass(eq=False)
class Theta:
    """Parameters of P heads with K logits: v (P, K, d) or, in a `Span`, (P, K, n); b (P, K).

    y: of what an inverse gave, what gradients are to be multiplied with for slopes: v itself,
        or in a `Span` the logits of v.
    """

    v: Tensor
    b: Tensor
    y: Tensor | None = None

    def add(self, other: Theta, factor: Tensor) -> Theta:
        """self + factor · other; factor: (P,)."""
        by = factor[:, None]
        y = None if self.y is None or other.y is None else self.y + by[..., None] * other.y
        return Theta(self.v + by[..., None] * other.v, self.b + by * other.b, y)

    def dot(self, other: Theta) -> Tensor:
        """(P,) products of these gradients with directions."""
        y = other.v if other.y is None else other.y
        return (self.v * y).sum((1, 2)) + (self.b * other.b).sum(1)

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
        z = self.rows.along(p)
        return self.rows.gradient(self.product(z).mul_(self.weights), p.v), z


class Inverse:
    """About (Σ_i h_i x_iᵀx_i + penalty)⁻¹ of every logit, with curvatures h (G, K, n) of rows.

    What couples the classes is left out. G is P, or 1 where all heads share their mean. With
    centre c = Σ h_i x_i / Σ h_i and intercept b + c·v the Hessian falls apart into that of v and
    Σ h. `FeatureInverse` and `SpanInverse` factorise that of v.
    """

    OWN = 1_100  # size of a factor up to which every head has one of its own

    def __init__(self, rows: Rows, size: int, P: int, K: int, own: bool) -> None:
        """size: of a factor; own: whether every head must have its own, at any cost."""
        self.own = own or size <= self.OWN
        G = P if self.own else 1
        new, empty = rows.X.new_empty, partial(rows.scratch.empty, dtype=rows.precision)
        self.h, self.total = new(G, K, len(rows.X)), new(G, K)
        self.root = empty("root", G, K, size, size).mT  # in LAPACK's order of columns
        self.scratch, self.failed = empty("matrix", size, size), new(0, dtype=torch.int32)
        self.drift = torch.full((G,), torch.inf, dtype=torch.float64, device=rows.X.device)
        self.served, self.now = new(0, dtype=torch.int64), [self.root, self.h, self.total]

    def update(self, left: Tensor, diagonal: Tensor, weights: Tensor) -> None:
        """Serve the heads `left`, with new factors where the logits have drifted."""
        h = diagonal.clamp_min(0.0) * weights
        if not self.own:
            left, h = left[:1] * 0, h.mean(0, keepdim=True)
        stale = self.drift[left] > DRIFT
        for index, curve in zip(left[stale].tolist(), h[stale], strict=True):
            for k, of_class in enumerate(curve):
                self.h[index, k], self.total[index, k] = of_class, of_class.sum().clamp_min(1e-300)
                A = self._matrix(of_class)
                # Rounding must not make it singular; what it shifts, conjugate gradients make good.
                A.diagonal().add_(4 * torch.finfo(A.dtype).eps * A.diagonal().amax())
                out = self.root[index, k], self.failed
                while bool(torch.linalg.cholesky_ex(A, out=out)[1]):
                    A.diagonal().add_(1e-5 * A.diagonal().amax())
        self.drift[left[stale]] = 0.0
        if bool(stale.any()) or not torch.equal(self.served, left):  # what it takes are copies
            using: slice | Tensor = slice(None) if len(left) == len(self.root) else left
            self.served, self.now = left, [p[using] for p in (self.root, self.h, self.total)]
            self._serve()

    def moved(self, left: Tensor, change: Tensor) -> None:
        """Heads `left` have moved a logit by as much as change."""
        if self.own:
            self.drift[left] += change
        else:
            self.drift += change.amax()

    def times(self, g: Theta) -> Theta:
        """The product with gradients g, with its y."""
        raise NotImplementedError

    def _matrix(self, h: Tensor) -> Tensor:
        """What is factorised for curvatures h (n,), in `scratch`."""
        raise NotImplementedError

    def _serve(self) -> None:
        """Prepare products with the factors in `now`."""

    def _solve(self, B: Tensor) -> Tensor:
        """(P, K, m) by the factors, float64."""
        right = B.to(self.root.dtype)
        # Heads that share a factor are its right-hand sides.
        right = right[..., None] if self.own else right.permute(1, 2, 0)[None]
        half = torch.linalg.solve_triangular(self.now[0], right, upper=False)
        found: Tensor = torch.linalg.solve_triangular(self.now[0].mT, half, upper=True)
        found = found[..., 0] if self.own else found[0].permute(2, 0, 1)
        return found.to(torch.float64)


class FeatureInverse(Inverse):
    """By factors of (d, d), for rows that are more than the features."""

    def __init__(self, rows: Rows, P: int, K: int, own: bool) -> None:
        self.rows = rows
        super().__init__(rows, rows.X.shape[1], P, K, own)

    def _matrix(self, h: Tensor) -> Tensor:
        centre = (h / h.sum().clamp_min(1e-300)) @ self.rows.X
        X = ((self.rows.X - centre) * h.sqrt()[:, None]).to(self.scratch.dtype)
        A = torch.matmul(X.T, X, out=self.scratch)
        A.diagonal().add_(self.rows.penalty.clamp_min(LEAST).to(A.dtype))
        return A

    def _serve(self) -> None:
        _, h, total = self.now
        self.centre = (h / total[..., None]) @ self.rows.X

    def times(self, g: Theta) -> Theta:
        v = self._solve(g.v - g.b[..., None] * self.centre)
        return Theta(v, g.b / self.now[2] - (v * self.centre).sum(-1), v)


def conjugate_gradients(
    hessian: Hessian, inverse: Inverse, down: Theta, tol: float
) -> tuple[Theta, Tensor, Tensor]:
    """Newton steps from minus the gradients, the moves of the logits (P, K, n), and the sound ones.

    Every head stops by itself: where its residual is small, or at a direction of no curvature. A
    step that moves a logit by more than tol is not the last, and need not be exact. A step that
    ended for another reason than a small residual is not sound.
    """
    r, s = down, inverse.times(down)
    x = Theta(torch.zeros_like(s.v), torch.zeros_like(s.b), torch.zeros_like(s.v))
    dz = torch.zeros_like(hessian.diagonal)
    p = s
    rho = first = r.dot(s)
    on = rho > 0
    sound = torch.zeros_like(on)
    for k in range(CG_LIMIT):
        q, z = hessian.times(p)
        curve = q.dot(p)
        flat = on & ~(curve > 0)
        if k == 0:  # the preconditioned gradient itself, if it is all there is
            alpha = torch.where(curve > 0, rho / curve, 1.0).where(on, 0.0)
        else:
            alpha = torch.where(on & ~flat, rho / curve, 0.0)
        x, r = x.add(p, alpha), r.add(q, -alpha)
        dz = dz + alpha[:, None, None] * z
        on = on & ~flat
        if not bool(on.any()):
            break
        s = inverse.times(r)
        new = r.dot(s)
        enough = torch.where(dz.abs().amax((1, 2)) > tol, CG_ROUGH, CG_TOL)
        small = (new <= enough**2 * first) & (new >= 0)
        sound, on = sound | (on & small), on & (new > 0) & ~small
        if not bool(on.any()):
            break
        beta = torch.where(on, new / rho, 0.0)
        p, rho = s.add(p, beta), new
    return x, dz, sound
