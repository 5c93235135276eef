"""The z⊗ξ group model of LDL25: one object for simulation, exact limits and the gaussian dataset.

Core feature z ~ N(0, I) in R^{d_z}, the same in both groups; group feature ξ in R^p with p << d_z;
label y = zᵀβ* + ε (regression) or its sign (classification). The teacher sees z ⊗ [1; Wᵀξ], the
student z ⊗ [1; Sᵀξ]. Source: LDL25 (arXiv 2509.24005), Section 3; docs/theory.md, section 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError, unknown_name

Array = NDArray[np.float64]
Side = Literal["teacher", "student"]
Law = Literal["mixture", "location"]
LARGEST = 1e50  # of norms and penalties, whose fourth powers and ratios are computed
LARGEST_P = 5000  # a model's matrices have (p_w + p_s)^2 numbers: 0.8 GB
Task = Literal["regression", "classification"]

ORTHONORMAL_TOL = 1e-8


def check_eta(field: str, eta: float) -> float:
    """`eta` if it is a fraction in [0, 1]; InputError naming `field` otherwise (nan fails too)."""
    if not 0 <= eta <= 1:
        raise InputError(f"{field}={eta} is not a minority fraction: give a number in [0, 1]")
    return float(eta)


def check_range(field: str, value: float, *, above: float, closed: bool = True) -> float:
    """`value` if it is >= `above` (> `above` unless `closed`); InputError otherwise.

    InputError too for a value above LARGEST or within 1 / LARGEST of 0, except 0 itself.
    """
    tiny = value != 0 and abs(value) < 1 / LARGEST
    if tiny or not ((value >= above if closed else value > above) and value <= LARGEST):
        sign = ">=" if closed else ">"
        raise InputError(
            f"{field}={value} is out of range: give a number {sign} {above:g}, of a size between "
            f"{1 / LARGEST:g} and {LARGEST:g}"
        )
    return float(value)


@dataclass(frozen=True, eq=False)
class Draw:
    """n samples: z (n, d_z), xi (n, p), y (n,), and g (n,) in {0, 1}, or None where undefined."""

    z: Array
    xi: Array
    g: NDArray[np.int64] | None
    y: Array


@dataclass(frozen=True, eq=False)
class GroupModel:
    """Model of a weak teacher and a strong student under group imbalance.

    W (p, p_w - 1) and S (p, p_s - 1) have orthonormal columns (either may have none); mu_xi (p,);
    sigma_xi > 0; sigma_y >= 0; beta_norm = ‖β*‖ >= 0. law="mixture": ξ | g ~ N(g μ_ξ, σ_ξ² I) with
    g ~ Bernoulli(η), as LDL25 states it; law="location": ξ ~ N(η μ_ξ, σ_ξ² I), under which LDL25's
    printed limits hold. Bad values raise InputError. Source: LDL25 Section 3.
    """

    W: Array
    S: Array
    mu_xi: Array
    sigma_xi: float
    sigma_y: float
    beta_norm: float = 1.0
    law: Law = "mixture"

    def __post_init__(self) -> None:
        if self.law not in get_args(Law):
            raise unknown_name("law", str(self.law), get_args(Law))
        mu = _numbers("mu_xi", self.mu_xi, ndim=1)
        for field in ("W", "S"):
            matrix = _numbers(field, getattr(self, field), ndim=2)
            if matrix.shape[0] != mu.size:
                raise InputError(
                    f"{field} has {matrix.shape[0]} rows but mu_xi has p={mu.size} entries: "
                    f"give {field} one row per coordinate of xi"
                )
            gap = np.abs(matrix.T @ matrix - np.eye(matrix.shape[1]))
            if gap.size and not gap.max() <= ORTHONORMAL_TOL:
                raise InputError(
                    f"{field} is off orthonormal by {gap.max():.1e}: its columns must satisfy "
                    f"{field}^T {field} = I to {ORTHONORMAL_TOL:g}; take Q of its QR factorisation"
                )
            object.__setattr__(self, field, matrix)
        object.__setattr__(self, "mu_xi", mu)
        check_range("sigma_xi", self.sigma_xi, above=0, closed=False)
        check_range("sigma_y", self.sigma_y, above=0)
        check_range("beta_norm", self.beta_norm, above=0)

    @classmethod
    def from_cosines(
        cls,
        cos: Sequence[float],
        *,
        p_w: int,
        mu_xi: ArrayLike,
        sigma_xi: float,
        sigma_y: float,
        beta_norm: float = 1.0,
        law: Law = "mixture",
    ) -> GroupModel:
        """Model with given principal cosines between span S and span W; p_s = 1 + len(cos).

        W = first p_w - 1 axes; column j of S = cos_j e_j + sqrt(1 - cos_j²) e_{p_w-1+j}.
        """
        mu = _numbers("mu_xi", mu_xi, ndim=1)
        k_w, k_s = check_p("p_w", p_w) - 1, len(cos)
        if any(not -1 <= c <= 1 for c in cos) or any(c != 0 for c in cos[k_w:]):
            raise InputError(
                f"cos={list(cos)} is infeasible for p_w={p_w}: each cosine lies in [-1, 1], and "
                f"those after the first p_w - 1 = {k_w} must be 0"
            )
        needed = k_w + max((j + 1 for j in range(k_s) if abs(cos[j]) < 1), default=0)
        if mu.size < needed:
            raise InputError(
                f"mu_xi has p={mu.size} entries, but p_w={p_w} and cos={list(cos)} span {needed} "
                "dimensions: pad mu_xi with zeros"
            )
        axes = np.eye(mu.size)
        S = np.zeros((mu.size, k_s))
        for j, c in enumerate(cos):
            if c != 0:
                S[:, j] += c * axes[:, j]
            if abs(c) < 1:
                S[:, j] += np.sqrt(1 - c * c) * axes[:, k_w + j]
        return cls(axes[:, :k_w], S, mu, sigma_xi, sigma_y, beta_norm, law)

    @property
    def p(self) -> int:
        """Dimension of ξ."""
        return int(self.mu_xi.size)

    @property
    def p_w(self) -> int:
        """Features ψ_w that the teacher sees, the constant counted."""
        return int(self.W.shape[1]) + 1

    @property
    def p_s(self) -> int:
        """Features ψ_s that the student sees, the constant counted."""
        return int(self.S.shape[1]) + 1

    @property
    def Xi(self) -> Array:
        """(p_w - 1, p_s - 1) WᵀS. Source: LDL25 Section 3."""
        return self.W.T @ self.S

    @property
    def p_sw(self) -> float:
        """Group-feature similarity p_{s∧w} = 1 + ‖Ξ‖_F², in [1, min(p_w, p_s)]."""
        return 1.0 + float(np.sum(self.Xi**2))

    @property
    def note(self) -> str:
        """A sentence where the model is outside of what the paper assumes; "" otherwise."""
        if self.p_s > self.p_w:
            return (
                f"p_s={self.p_s} > p_w={self.p_w}: LDL25 assumes p_s <= p_w; the exact limits hold "
                "here too, the printed ones are extrapolated"
            )
        return ""

    def side(self, side: Side) -> Array:
        """W for "teacher", S for "student"."""
        if side not in get_args(Side):
            raise unknown_name("side", str(side), get_args(Side))
        return self.W if side == "teacher" else self.S

    def psi(self, side: Side, xi: Array) -> Array:
        """(n, p_side) rows [1, Wᵀξ] or [1, Sᵀξ] of xi (n, p)."""
        return np.column_stack([np.ones(len(xi)), xi @ self.side(side)])

    def second_moment(self, side: Side, eta: float) -> Array:
        """(p_side, p_side) E_η[ψψᵀ], the A_t of the excess risk tr(A_t E Eᵀ) at η = η_t."""
        check_eta("eta", eta)
        columns = self.side(side)
        a = columns.T @ self.mu_xi
        weight = eta if self.law == "mixture" else eta * eta
        moment = np.empty((a.size + 1, a.size + 1))
        moment[0, 0] = 1.0
        moment[0, 1:] = moment[1:, 0] = eta * a
        moment[1:, 1:] = self.sigma_xi**2 * (columns.T @ columns) + weight * np.outer(a, a)
        return moment

    def test_moments(self, side: Side, eta_t: Sequence[float] | Array) -> Array:
        """(T, p_side, p_side) A_t at each eta_t (T,); InputError for one outside [0, 1]."""
        etas = [check_eta("eta_t", float(eta)) for eta in eta_t]
        return np.stack([self.second_moment(side, eta) for eta in etas])

    def beta_star(self, d_z: int) -> Array:
        """(d_z,) β* = ‖β*‖ 1/sqrt(d_z): z is isotropic, so no risk depends on its direction."""
        return np.full(d_z, self.beta_norm / np.sqrt(d_z))

    def draw_xi(
        self, n: int, eta: float, rng: np.random.Generator
    ) -> tuple[Array, NDArray[np.int64] | None]:
        """Draw xi (n, p) of D(η) and groups g (n,); g is None under law="location", 0 < η < 1."""
        check_eta("eta", eta)
        xi = self.sigma_xi * rng.standard_normal((n, self.p))
        if self.law == "location" and 0 < eta < 1:
            return xi + eta * self.mu_xi, None
        g = (rng.random(n) < eta).astype(np.int64)
        return xi + g[:, None] * self.mu_xi, g

    def draw(
        self,
        n: int,
        eta: float,
        d_z: int,
        rng: np.random.Generator,
        task: Task = "regression",
    ) -> Draw:
        """Draw n samples of D(η) at finite d_z; y = zᵀβ* + ε, or its sign for classification."""
        if task not in get_args(Task):
            raise unknown_name("task", str(task), get_args(Task))
        for field, size in (("n", n), ("d_z", d_z)):
            if size < 1:
                raise InputError(f"{field}={size} is not a size: give an integer >= 1")
        xi, g = self.draw_xi(n, eta, rng)
        z = rng.standard_normal((n, d_z))
        y = z @ self.beta_star(d_z) + self.sigma_y * rng.standard_normal(n)
        return Draw(z, xi, g, y if task == "regression" else np.where(y >= 0, 1.0, -1.0))

    def features(self, side: Side, z: Array, xi: Array) -> Array:
        """(n, p_side d_z) φ = z ⊗ ψ, block k holding ψ_k z: for moderate sizes only."""
        return (self.psi(side, xi)[:, :, None] * z[:, None, :]).reshape(len(z), -1)


def check_p(field: str, value: int) -> int:
    """`value` if it is an integer in 1..LARGEST_P (the constant counts); InputError otherwise."""
    if int(value) != value or not 1 <= value <= LARGEST_P:
        raise InputError(
            f"{field}={value} is not a feature dimension: give an integer >= 1, at most {LARGEST_P}"
        )
    return int(value)


def _numbers(field: str, values: ArrayLike, ndim: int) -> Array:
    array: Array = np.array(values, dtype=np.float64)
    if array.ndim != ndim or not np.isfinite(array).all():
        shape = "vector" if ndim == 1 else "matrix"
        raise InputError(
            f"{field} of shape {array.shape} is not a finite {shape}: give {ndim}-dimensional "
            "finite numbers"
        )
    array.setflags(write=False)
    return array
