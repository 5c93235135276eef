"""Many heads on one feature block: preconditioned L-BFGS whose work is matrix products.

Each iteration costs three products for all heads together: X D for the directions, Xᵀ R for the
gradients, and the gradients times one shared preconditioner, the inverse of the heads' average
Hessian. The line search needs none, since logits are linear along a direction. Logits, parameters
and sums are float64; only the products run in the dtype of X, so that with float32 features the
gradient is right to about 1e-9 and errors do not pile up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from w2s_groups.heads.batch_losses import spread, value_and_gradient
from w2s_groups.heads.history import History
from w2s_groups.heads.preconditioner import Preconditioner
from w2s_groups.heads.problem import Loss

HISTORY = 10
ARMIJO, WOLFE = 1e-4, 0.9
PATIENCE = 60  # iterations without progress of the gradient before Newton steps take over


@dataclass
class Batch:
    """P heads with K logits on m rows of D features (the last one constant).

    V: (P, K·D) parameters. targets: (P, K, m). weights: (P, 1, m), zero off a head's own rows.
    """

    V: Tensor
    targets: Tensor
    weights: Tensor


@dataclass
class _Iterate(Batch):
    index: Tensor
    Z: Tensor
    R: Tensor
    value: Tensor
    G: Tensor
    PG: Tensor
    best: Tensor
    best_at: Tensor
    stalled: Tensor
    history: History

    def keep(self, mask: Tensor) -> None:
        self.history.keep(mask)
        for f in fields(self):
            if f.name != "history":
                setattr(self, f.name, getattr(self, f.name)[mask])


class Descent:
    """Minimises every head of a batch over one feature block."""

    def __init__(self, X: Tensor, penalty: Tensor, loss: Loss, K: int) -> None:
        """X: (m, D), float32 or float64; penalty: (D,) float64 diagonal of the l2 term."""
        self.X, self.loss, self.K = X, loss, K
        self.penalty = penalty.repeat(K)
        self.flops = 0.0
        self.P: Preconditioner | None = None
        self.curvature = 0.0
        m, D = X.shape
        self.cost = Preconditioner.cost(m, D)
        self.due = self.cost / 2  # flops at which the preconditioner may be renewed

    def logits(self, V: Tensor) -> Tensor:
        """(P, K, m) logits of V (P, K·D)."""
        m, D = self.X.shape
        rows = V.reshape(-1, D).to(self.X.dtype)
        self.flops += 2.0 * rows.shape[0] * m * D
        return (rows @ self.X.T).view(-1, self.K, m).to(torch.float64)

    def gradient(self, R: Tensor, V: Tensor) -> Tensor:
        """(P, K·D) gradient from weighted row gradients R (P, K, m), in the dtype of X."""
        m, D = self.X.shape
        rows = R.reshape(-1, m).to(self.X.dtype)
        self.flops += 2.0 * rows.shape[0] * m * D
        return (self.penalty * V + (rows @ self.X).view(V.shape)).to(self.X.dtype)

    def evaluate(self, Z: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss (P,) without the l2 term, and weighted row gradients (P, K, m)."""
        value, R = value_and_gradient(self.loss, Z, targets)
        return torch.linalg.vecdot(value, weights.squeeze(1)), R.mul_(weights)

    def gradient_norms(self, batch: Batch) -> Tensor:
        """(P,) largest entry of each head's gradient."""
        _, R = self.evaluate(self.logits(batch.V), batch.targets, batch.weights)
        return self.gradient(R, batch.V).abs().amax(1)

    def minimise(
        self,
        batch: Batch,
        tol: float,
        limit: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters (P, K·D), which heads have max |gradient| <= tol (P,), iterations (P,)."""
        out, n = batch.V.clone(), len(batch.V)
        reached = torch.zeros(n, dtype=torch.bool, device=out.device)
        spent = torch.zeros(n, dtype=torch.int64, device=out.device)
        at = self._start(batch)
        for iteration in range(limit + 1):
            norm = at.G.abs().amax(1)
            better = norm < 0.7 * at.best
            at.best = torch.where(better, norm, at.best)
            at.best_at[better] = iteration
            done = norm <= tol
            given_up = at.stalled | (iteration - at.best_at >= PATIENCE)
            over = done | given_up if iteration < limit else torch.ones_like(done)
            # Dropping heads copies the rest: wait until it pays.
            if 8 * int(over.sum()) >= len(over) or bool(given_up.any()):
                gone = at.index[over]
                out[gone], reached[gone], spent[gone] = at.V[over], done[over], iteration
                if bool(over.all()):
                    break
                at.keep(~over)
            if iteration > 2:
                self._renew_preconditioner(at)
            self._step(at)
        return out, reached, spent

    def _start(self, batch: Batch) -> _Iterate:
        Z = self.logits(batch.V)
        value, R = self.evaluate(Z, batch.targets, batch.weights)
        G = self.gradient(R, batch.V)
        if self.P is None:
            self._precondition(Z, batch.weights)
        n, device = len(batch.V), Z.device
        return _Iterate(
            batch.V,
            batch.targets,
            batch.weights,
            torch.arange(n, device=device),
            Z,
            R,
            value + (self.penalty * batch.V**2).sum(1) / 2,
            G,
            self._apply(G),
            torch.full((n,), torch.inf, dtype=G.dtype, device=device),
            torch.zeros(n, dtype=torch.int64, device=device),
            torch.zeros(n, dtype=torch.bool, device=device),
            History(n, G.shape[1], HISTORY, G),
        )

    def _precondition(self, Z: Tensor, weights: Tensor) -> None:
        """For the heads' average weighted curvature of each row."""
        h = (spread(Z) * weights.squeeze(1)).mean(0)
        self.curvature = float(h.sum())
        self.P = Preconditioner(self.X, h, self.penalty[: self.X.shape[1]])
        self.flops += self.cost
        self.due = self.flops + self.cost / 2

    def _renew_preconditioner(self, at: _Iterate) -> None:
        """Once the fits have sharpened, the Hessian is far below its start: factorise it again.

        Never before the steps since the last time cost half as much as it does: with few heads, a
        dozen more steps are cheaper. (Thin products run at half the rate of square ones.)
        """
        if self.flops < self.due:
            return
        h = (spread(at.Z) * at.weights.squeeze(1)).mean(0)
        if float(h.sum()) < 0.6 * self.curvature:
            self._precondition(at.Z, at.weights)
            at.PG = self._apply(at.G)
            at.history.renew(self._apply)

    def _apply(self, G: Tensor) -> Tensor:
        assert self.P is not None
        D = self.X.shape[1]
        rows = G.reshape(-1, D)
        self.flops += rows.shape[0] * self.P.each
        return self.P.times(rows).view(G.shape)

    def _step(self, at: _Iterate) -> None:
        d = at.history.direction(at.G, at.PG)
        XD = self.logits(d)
        slope, linear, square = self._along(at, d, XD)
        uphill = ~(slope < 0)
        if bool(uphill.any()):
            # A curvature pair spoilt by rounding or non-convexity: that head starts a new history.
            at.history.forget(uphill)
            d[uphill] = -at.PG[uphill]
            XD[uphill] = self.logits(d[uphill])
            slope, linear, square = self._along(at, d, XD)
            at.stalled |= ~(slope < 0)
        alpha = self._search(at, XD, slope, linear, square)
        s = alpha[:, None] * d
        at.V = at.V + s
        s = s.to(d.dtype)
        G = self.gradient(at.R, at.V)
        PG = self._apply(G)
        y, py = G - at.G, PG - at.PG
        at.G, at.PG = G, PG
        at.history.add(s, y, py)

    def _along(self, at: _Iterate, d: Tensor, XD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slope of the objective along d, and the l2 term's linear and quadratic parts (P,)."""
        linear = (self.penalty * at.V * d).sum(1)
        square = (self.penalty * d.to(torch.float64) ** 2).sum(1)
        return torch.linalg.vecdot(at.R.flatten(1), XD.flatten(1)) + linear, linear, square

    def _search(
        self, at: _Iterate, XD: Tensor, slope: Tensor, linear: Tensor, square: Tensor
    ) -> Tensor:
        """Step lengths (P,) by weak Wolfe bracketing per head; moves Z, R and value there."""
        n = len(slope)
        alpha = torch.ones_like(slope)
        low, high = torch.zeros_like(slope), torch.full_like(slope, torch.inf)
        before, at.value = at.value, at.value.clone()
        base = before - (self.penalty * at.V**2).sum(1) / 2  # loss part, for its rounding only
        rounding = 1e-14 * (base.abs() + before.abs())
        l2_part = before - base
        Z0, todo = at.Z, torch.arange(n, device=slope.device)
        for attempt in range(40):
            a = alpha[todo]
            if attempt == 0:
                z = Z0 + XD
                value, R = self.evaluate(z, at.targets, at.weights)
                rate = torch.linalg.vecdot(R.flatten(1), XD.flatten(1))
                at.Z, at.R = z, R
            else:
                x = XD[todo]
                z = Z0[todo] + a[:, None, None] * x
                value, R = self.evaluate(z, at.targets[todo], at.weights[todo])
                rate = torch.linalg.vecdot(R.flatten(1), x.flatten(1))
                at.Z[todo], at.R[todo] = z, R
            value = value + l2_part[todo] + a * linear[todo] + a**2 * square[todo] / 2
            rate = rate + linear[todo] + a * square[todo]
            at.value[todo] = value
            bound = before[todo] + ARMIJO * a * slope[todo] + rounding[todo]
            # A clearly rising slope is too far even where the value's digits cannot tell.
            long = ~(value <= bound) | (rate > -WOLFE * slope[todo])
            short = ~long & (rate < WOLFE * slope[todo])
            wrong = long | short
            if not bool(wrong.any()):
                return alpha
            high[todo] = torch.where(long, a, high[todo])
            low[todo] = torch.where(short, a, low[todo])
            secant = a * slope[todo] / (slope[todo] - rate)
            lo, hi = low[todo], high[todo]
            wide = torch.where((secant > a) & (secant < 4 * a), secant, 4 * a)
            inside = (secant > lo + 0.1 * (hi - lo)) & (secant < hi - 0.1 * (hi - lo))
            new = torch.where(
                hi.isinf(),
                wide,
                torch.where(inside, secant, torch.lerp(lo, hi.clamp(max=1e300), 0.5)),
            )
            alpha[todo[wrong]] = new[wrong]
            todo = todo[wrong]
        # No acceptable step: stay where the head was.
        at.stalled[todo] = True
        alpha[todo] = 0
        at.value[todo] = before[todo]
        at.Z[todo] = Z0[todo]
        at.R[todo] = self.evaluate(at.Z[todo], at.targets[todo], at.weights[todo])[1]
        return alpha
