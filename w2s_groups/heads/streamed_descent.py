"""L-BFGS of one head whose values and slopes are made by whoever passes over its rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

HISTORY = 10  # steps that are remembered
FLOOR = 1e-14  # entries of a gradient that are rounding
DESCENT = 1e-4  # share of the slope's promise by which a step must descend
ROUNDING = 1e-13  # of a value, relative
SLOW = 0.8  # ratio of a move to the one before
SHORTEST = 2.0**-40


class Descent:
    """Parameters theta (D, K), and `trial`, where value and slope are wanted next.

    The objective is what `receive` is given + ½ Σ penalty (theta − centre)².
    """

    def __init__(self, centre: Tensor, penalty: Tensor) -> None:
        """centre: (D, K); penalty: (D, 1). Begins at the centre."""
        self.centre, self.penalty = centre, penalty
        self.solved = False
        self.left = torch.inf  # estimate of how far logits are off
        self.start(centre)

    def start(self, theta: Tensor) -> None:
        """Begin at theta."""
        self.theta, self.trial = theta.clone(), theta.clone()
        self.step: Tensor | None = None
        self.value, self.before = torch.inf, torch.inf
        self.g = torch.zeros_like(theta)
        self.rates = deque([0.5, 0.5], maxlen=2)
        self.forget()

    def forget(self) -> None:
        """Remember no step and try no shorter one: the inverse Hessian is a new one."""
        self.pairs: deque[tuple[Tensor, Tensor]] = deque(maxlen=HISTORY)
        self.length = 1.0

    @property
    def slow(self) -> bool:
        """Whether the inverse Hessian brings little: moves hardly get smaller."""
        return min(self.rates) >= SLOW

    def receive(self, value: float, slope: Tensor, move: float) -> bool:
        """Whether the trial was taken. slope: (D, K); move: of its logits, at most."""
        away = self.trial - self.centre
        value += 0.5 * float((self.penalty * away.square()).sum())
        g = slope + self.penalty * away
        if self.step is not None:
            promise = DESCENT * self.length * float((self.g * self.step).sum())
            if not value <= self.value + promise + ROUNDING * max(abs(self.value), 1e-3):
                self.length /= 2
                self.trial = self.theta + self.length * self.step
                return False
            s, y = self.trial - self.theta, g - self.g
            if float((s * y).sum()) > 1e-12 * float(s.norm() * y.norm()):
                self.pairs.append((s, y))
            self.rates.append(min(max(move / self.before, 0.1), 0.95) if move else 0.1)
            rate = max(self.rates)
            self.left, self.before = move * rate / (1 - rate), max(move, 1e-300)
        self.theta, self.g, self.value, self.length = self.trial, g, value, 1.0
        return True

    def propose(self, inverse: Callable[[Tensor], Tensor], left: float) -> None:
        """The next trial, or the end where logits are off by at most `left`.

        inverse: about the inverse Hessian. The last step is taken without being tried.
        """
        if self.length < 1.0:
            if self.length >= SHORTEST:
                return
            self.forget()  # rounding hides what is left to descend
        self.step = self._times(inverse, self.g).neg_()
        self.trial = self.theta + self.step
        if self.left <= left or float(self.g.abs().max()) <= FLOOR:
            self.theta, self.solved = self.trial, True

    def _times(self, inverse: Callable[[Tensor], Tensor], g: Tensor) -> Tensor:
        """L-BFGS's inverse Hessian times g, by its two loops."""
        q, shares = g.clone(), []
        for s, y in reversed(self.pairs):
            rho = 1 / (s * y).sum()
            a = rho * (s * q).sum()
            shares.append((a, rho))
            q -= a * y
        r = inverse(q)
        for (s, y), (a, rho) in zip(self.pairs, reversed(shares), strict=True):
            r += (a - rho * (y * r).sum()) * s
        return r
