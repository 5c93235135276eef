"""DLLL25's synthetic regression, simulated exactly from the few numbers its risks depend on.

x ~ N(0, I_d), y = xᵀβ + ε with β_i = ±(i d)^(−1/2) for i <= d_star: spectrum 1/i, θ* Rademacher/√d.
The student's features are coordinates 1..d_s, the teacher's offset + 1..offset + d_w, both least
squares.

Three things make this cheap, none of them an approximation:
- coordinates beyond d_star and both models enter neither labels nor features, and are independent
  of the others, so they are never drawn;
- least squares depends on a sample only through its Gram matrix, which is Wishart, and Bartlett's
  triangular factor draws it with no sample: cost independent of n and N;
- least squares does not change when features are rescaled, so the feature spectrum 1/i drops out.
Excess risk is ‖θ − β‖² since x is isotropic: no test sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.theory.intrinsic import MODELS, Pair
from w2s_groups.theory.model import Array


@dataclass(frozen=True)
class Sizes:
    """Sizes of the synthetic problem; the target lives on the first d_star of d coordinates."""

    d: int
    d_star: int
    d_w: int
    d_s: int

    def __post_init__(self) -> None:
        if not 1 <= self.d_star <= self.d:
            raise InputError(f"d_star={self.d_star} must lie in 1..d={self.d}; lower d_star")
        if not (1 <= self.d_s <= self.d and 1 <= self.d_w <= self.d):
            raise InputError(
                f"d_w={self.d_w}, d_s={self.d_s} must lie in 1..d={self.d}; lower them or raise d"
            )

    def teacher(self, d_sw: int) -> slice:
        """The teacher's coordinates when it shares d_sw of the student's: offset d_s − d_sw."""
        offset = self.d_s - d_sw
        if not (0 <= d_sw <= min(self.d_s, self.d_w) and offset + self.d_w <= self.d):
            raise InputError(
                f"d_sw={d_sw} must lie in 0..min(d_w, d_s)={min(self.d_s, self.d_w)}, leaving room "
                f"for d_w={self.d_w} coordinates after offset d_s - d_sw; change d_sw or raise d"
            )
        return slice(offset, offset + self.d_w)

    @property
    def energy(self) -> Array:
        """(d_star,) β_i² = 1/(i d)."""
        return 1 / (np.arange(1, self.d_star + 1) * self.d)

    def pair(self, d_sw: int) -> Pair:
        """Numbers for the closed forms. Spans are coordinates: the energies are sums of 1/(i d)."""
        teacher, energy = self.teacher(d_sw), self.energy
        seen = np.zeros(self.d_star, dtype=bool)
        seen[teacher] = True
        strong = np.arange(self.d_star) < self.d_s
        return Pair(
            d_w=self.d_w,
            d_s=self.d_s,
            d_sw=d_sw,
            rho_w=float(energy[~seen].sum()),
            rho_s=float(energy[~strong].sum()),
            inherited=float(energy[strong & ~seen].sum()),
            leaked=float(energy[seen & ~strong].sum()),
        )


def gram(rng: np.random.Generator, samples: int, dim: int, trials: int) -> Array:
    """(trials, dim, dim) Gram matrices XᵀX of X (samples, dim) standard normal, without X.

    Bartlett: XᵀX = LLᵀ with L lower trapezoidal, χ on its diagonal and N(0, 1) below; for
    samples < dim it has `samples` columns, so that the rank is right.
    """
    rank = np.arange(min(samples, dim))
    factor: Array = np.tril(rng.standard_normal((trials, dim, rank.size)), -1)
    factor[:, rank, rank] = np.sqrt(rng.chisquare(samples - rank, (trials, rank.size)))
    return factor @ factor.transpose(0, 2, 1)


def simulate_risks(
    sizes: Sizes,
    d_sw: Sequence[int],
    n: int,
    N: int,
    sigma2: Sequence[float],
    trials: int,
    rng: np.random.Generator,
) -> Array:
    """(trials, len(d_sw), len(sigma2), 4) excess risks of MODELS.

    All d_sw, σ² and models of a trial share its samples, so their differences are paired. Memory:
    about 5 trials·(dimension)² float64. InputError where a mean risk would not be finite.
    """
    _check_finite(sizes, n, N, sigma2)
    teachers = [sizes.teacher(shared) for shared in d_sw]
    strong = slice(0, sizes.d_s)
    dim = max(sizes.d_star, sizes.d_s, *(teacher.stop for teacher in teachers))

    target = np.zeros((trials, dim + 1, len(sigma2)))  # the last coordinate carries the noise
    signs = rng.choice([-1.0, 1.0], (trials, sizes.d_star))
    target[:, : sizes.d_star] = (signs * np.sqrt(sizes.energy))[:, :, None]
    target[:, dim] = np.sqrt(sigma2)
    labelled = gram(rng, n, dim + 1, trials)
    unlabelled = gram(rng, N, dim + 1, trials)
    beta = target[:, :dim]

    out = np.empty((trials, len(teachers), len(sigma2), len(MODELS)))
    for name, moments in (("baseline", labelled), ("ceiling", labelled + unlabelled)):
        coef = _fit(moments, target, strong)
        out[..., MODELS.index(name)] = _risk(coef, beta, strong)[:, None]
    for k, weak in enumerate(teachers):
        theta_w = _fit(labelled, target, weak)
        pseudo = unlabelled[:, strong, weak] @ theta_w
        theta_s = np.asarray(np.linalg.solve(unlabelled[:, strong, strong], pseudo), np.float64)
        out[:, k, :, MODELS.index("teacher")] = _risk(theta_w, beta, weak)
        out[:, k, :, MODELS.index("w2s")] = _risk(theta_s, beta, strong)
    return out


def _fit(moments: Array, target: Array, seen: slice) -> Array:
    """(trials, seen, noise levels) least squares on the coordinates `seen`, from Gram matrices."""
    coef = np.linalg.solve(moments[:, seen, seen], moments[:, seen] @ target)
    return np.asarray(coef, dtype=np.float64)


def _risk(coef: Array, beta: Array, seen: slice) -> Array:
    """(trials, noise levels) ‖θ − β‖² of coefficients on the coordinates `seen`."""
    outside = (beta**2).sum(1) - (beta[:, seen] ** 2).sum(1)
    return np.asarray(((coef - beta[:, seen]) ** 2).sum(1) + outside, dtype=np.float64)


def _check_finite(sizes: Sizes, n: int, N: int, sigma2: Sequence[float]) -> None:
    fewest = max(sizes.d_w, sizes.d_s) + 1
    if not n > fewest:
        raise InputError(
            f"n={n} with alpha=0 needs n > max(d_w, d_s) + 1 = {fewest}, below which the mean risk "
            "is not finite; raise n"
        )
    if not sizes.d_s + 1 < N:
        raise InputError(
            f"N={N} with alpha=0 needs N > d_s + 1 = {sizes.d_s + 1}, below which the mean risk "
            "is not finite; raise N"
        )
    if not all(0 <= value < np.inf for value in sigma2):
        raise InputError(
            f"sigma2={list(sigma2)} must be finite variances >= 0; square the noise scale"
        )
