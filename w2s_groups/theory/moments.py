"""Integrals over the group feature ξ, reduced to two dimensions without approximation.

Given its component (the group under the mixture law), the features v = Wᵀξ (or Sᵀξ) of one side
are isotropic Gaussian about a multiple of one direction û. Everything the limits integrate
depends on the scalars x = ûᵀv and ρ² = ‖v‖² - x² and, polynomially, on the direction of the
remainder, which is uniform on its sphere and integrates in closed form. What is left is two
one-dimensional rules, at any p: the trapezoidal rule in x, whose error falls geometrically with the
distance of the poles of c from the real line (Gauss-Hermite only as exp(-sqrt(nodes))), and
Gauss-Laguerre in ρ², where those poles lie on the negative axis and it is fast.

Coordinates: q = 2 + d, (1, x, y) with y in R^d, ρ = ‖y‖. A matrix that shares the law's symmetry is
blockdiag(2 × 2, scalar I_d), stored as the four numbers (11, 12, 22, scalar). Sides with fewer
than three features keep x or y as coordinates that are identically 0.

Every array carries a leading axis E over minority fractions; C counts components of the law.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import special
from w2s_groups.theory.model import Array, GroupModel, Side, check_eta

CONDITION_LIMIT = 1e12
TAIL = 8.8  # standard deviations kept: the fourth moment beyond is below 1e-14


@dataclass(frozen=True, eq=False)
class SideIntegrals:
    """Quadrature for one side of a model at fractions eta (E,).

    weight, shift (E, C): mixture weights and multiples of μ; x (E, C, n_x), w_x (n_x,);
    rho2, w_rho (n_rho,); H (p, q) maps the coordinates (1, x, y) to the side's ψ.
    """

    weight: Array
    shift: Array
    x: Array
    w_x: Array
    rho2: Array
    w_rho: Array
    H: Array
    d: int
    pad: Array

    def tilted(self, v: Array, scale: float, power: int) -> Array:
        """(E, C, 5, 3) E[c^power x^a ρ^(2b)] per component, c = 1 / (1 + scale ψᵀMψ).

        v (E, 4) holds M. Entries with a + 2b > 4 are computed but never used.
        """
        v11, v12, v22, v_y = (v[:, i, None, None] for i in range(4))
        along = v11 + 2 * v12 * self.x + v22 * self.x**2
        c = 1 / (1 + scale * (along[..., None] + v_y[..., None] * self.rho2))
        radial = c**power @ (self.w_rho[:, None] * self.rho2[:, None] ** np.arange(3))
        powers = (self.w_x[:, None] * self.x[..., None] ** np.arange(5)).swapaxes(-1, -2)
        return np.asarray(powers @ radial, dtype=np.float64)

    def mix(self, moments: Array) -> Array:
        """(E, ...) average of per-component moments (E, C, ...) over the components."""
        return np.asarray(np.einsum("ec,ec...->e...", self.weight, moments), dtype=np.float64)


def side_integrals(model: GroupModel, side: Side, eta: Array, nodes: int) -> SideIntegrals:
    """Rules of `nodes` points in x, half in ρ². InputError: eta not in [0, 1], singular E[ψψᵀ]."""
    for value in eta:
        check_eta("eta", float(value))
    k = model.side(side).shape[1]
    for value in (float(eta.min()), float(eta.max())):
        condition = np.linalg.cond(model.second_moment(side, value))
        if not condition <= CONDITION_LIMIT:
            raise InputError(
                f"sigma_xi={model.sigma_xi:g} makes the {side}'s second moment at eta={value:g} "
                f"singular: its condition number {condition:.0e} must stay below "
                f"{CONDITION_LIMIT:.0e}; bring the scales of sigma_xi and mu_xi together"
            )
    mu = model.side(side).T @ model.mu_xi
    length = float(np.linalg.norm(mu))
    H, d = _basis(mu, length), max(k - 1, 0)
    if model.law == "mixture":
        weight = np.stack([1 - eta, eta], axis=1)
        shift = np.broadcast_to([0.0, 1.0], weight.shape)
    else:
        weight, shift = np.ones((eta.size, 1)), eta[:, None]
    h, w_x = _normal_rule(nodes) if k else _POINT
    half_rho2, w_rho = _gamma_rule(nodes // 2, d / 2) if d else _POINT
    x = shift[..., None] * length + model.sigma_xi * h
    rho2 = 2 * model.sigma_xi**2 * half_rho2
    pad = np.array([0.0, 0.0, float(k == 0), float(d == 0)])
    return SideIntegrals(weight, shift, x, w_x, rho2, w_rho, H, d, pad)


def second_order(m: Array, d: int) -> Array:
    """(..., 4) E[c ψψᵀ] as (11, 12, 22, scalar), from moments m (..., 5, 3)."""
    return np.stack([m[..., 0, 0], m[..., 1, 0], m[..., 2, 0], m[..., 0, 1] / max(d, 1)], axis=-1)


def fourth_order(m: Array, d: int) -> Array:
    """(..., 4, 4) the map V -> E[c² ψψᵀ (ψᵀVψ)] on symmetric-structured V, from moments of c²."""
    n = max(d, 1)
    rows = [
        [m[..., 0, 0], 2 * m[..., 1, 0], m[..., 2, 0], m[..., 0, 1]],
        [m[..., 1, 0], 2 * m[..., 2, 0], m[..., 3, 0], m[..., 1, 1]],
        [m[..., 2, 0], 2 * m[..., 3, 0], m[..., 4, 0], m[..., 2, 1]],
        [m[..., 0, 1] / n, 2 * m[..., 1, 1] / n, m[..., 2, 1] / n, m[..., 0, 2] / n],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def fourth_order_full(m: Array, d: int, R: Array) -> Array:
    """(..., q, q) E[c² ψψᵀ (ψᵀRψ)] for any symmetric R (..., q, q), in coordinates (1, x, y).

    Uses E[ω_i ω_j] = δ_ij / d and E[ω_i ω_j ω_k ω_l] = (δδ + δδ + δδ) / (d (d + 2)) for the
    direction ω of y.
    """
    n = max(d, 1)
    trace = np.trace(R[..., 2:, 2:], axis1=-2, axis2=-1)
    structured = np.stack([R[..., 0, 0], R[..., 0, 1], R[..., 1, 1], trace / n], axis=-1)
    out = expand(np.einsum("...ij,...j->...i", fourth_order(m, d), structured), d)
    pair = np.stack([m[..., 0, 1], m[..., 1, 1], m[..., 1, 1], m[..., 2, 1]], axis=-1) / n
    mixed = 2 * pair.reshape(*pair.shape[:-1], 2, 2) @ R[..., :2, 2:]
    out[..., :2, 2:] += mixed
    out[..., 2:, :2] += np.swapaxes(mixed, -1, -2)
    traceless = R[..., 2:, 2:] - (trace / n)[..., None, None] * np.eye(d)
    out[..., 2:, 2:] += 2 * (m[..., 0, 2] / (n * (n + 2)))[..., None, None] * traceless
    return out


def expand(v: Array, d: int) -> Array:
    """(..., q, q) matrix blockdiag(2 × 2, scalar I_d) of v (..., 4)."""
    out = np.zeros((*v.shape[:-1], 2 + d, 2 + d))
    out[..., 0, 0], out[..., 1, 1] = v[..., 0], v[..., 2]
    out[..., 0, 1] = out[..., 1, 0] = v[..., 1]
    out[..., 2:, 2:] = v[..., 3, None, None] * np.eye(d)
    return out


def inverse(s: Array) -> Array:
    """(..., 4) inverse of the structured matrix s (..., 4)."""
    det = s[..., 0] * s[..., 2] - s[..., 1] ** 2
    return np.stack([s[..., 2] / det, -s[..., 1] / det, s[..., 0] / det, 1 / s[..., 3]], axis=-1)


def sandwich(v: Array) -> Array:
    """(..., 4, 4) the map S -> M S M on structured matrices, M given by v (..., 4)."""
    a, b, c, e = (v[..., i] for i in range(4))
    zero = np.zeros_like(a)
    rows = [
        [a * a, 2 * a * b, b * b, zero],
        [a * b, a * c + b * b, b * c, zero],
        [b * b, 2 * b * c, c * c, zero],
        [zero, zero, zero, e * e],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


_POINT = (np.zeros(1), np.ones(1))


@lru_cache(maxsize=32)
def _normal_rule(nodes: int) -> tuple[Array, Array]:
    """Trapezoidal nodes and weights for E over N(0, 1)."""
    h = np.linspace(-TAIL, TAIL, nodes)
    weight = np.exp(-(h**2) / 2)
    return h, weight / weight.sum()


@lru_cache(maxsize=64)
def _gamma_rule(nodes: int, shape: float) -> tuple[Array, Array]:
    """Gauss-Laguerre nodes and weights for E over Gamma(shape): ρ²/(2σ²) at shape = d/2."""
    u, weight = special.roots_genlaguerre(nodes, shape - 1)
    return u, weight / weight.sum()


def _basis(mu: Array, length: float) -> Array:
    """(p, q) columns: the constant, û = mu / ‖mu‖, and the rest of an orthonormal basis."""
    k = mu.size
    H = np.zeros((k + 1, max(k + 1, 2)))
    H[0, 0] = 1.0
    if k:
        axes = np.eye(k)
        if length > 0:
            axes[:, 0] = mu / length
        frame = np.linalg.qr(axes)[0]
        frame[:, 0] = axes[:, 0]
        H[1:, 1:] = frame
    return H
