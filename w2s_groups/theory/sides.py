"""Exact limits of each side on an axis of minority fractions: equations 2.1 to 2.8.

The teacher depends on eta_l only, the student on eta_u and, linearly, on the teacher's V and K.
Derivation, and the numbers of the equations: docs/theory.md, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from w2s_groups.theory import moments as mo
from w2s_groups.theory.fixed_point import fixed_point, fluctuation, to_psi
from w2s_groups.theory.model import Array, GroupModel
from w2s_groups.theory.regime import Regime


@dataclass(frozen=True, eq=False)
class TeacherLimits:
    """Limits of the teacher at fractions eta_l (E,): equations 2.1-2.4.

    M (E, p_w, p_w); bias (E, p_w) = b_w - e₁; V (E, p_w, p_w) covariance rate of the noise;
    K (E, p_w, p_w) = V + b² b_w b_wᵀ.
    """

    M: Array
    bias: Array
    V: Array
    K: Array
    beta_norm: float

    def risk(self, A: Array) -> Array:
        """(E, T) ER_t for second moments A (T, p_w, p_w). Source: equation 2.4."""
        energy = self.V + self.beta_norm**2 * self.bias[:, :, None] * self.bias[:, None, :]
        return np.asarray(np.einsum("tij,eij->et", A, energy), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class StudentLimits:
    """Limits of the student at fractions eta_u (E,), before any teacher is named.

    M (E, p_s, p_s) and B (E, p_s, p_w): equations 2.5-2.6; bias (E, p_s) = (B - I) e₁ = -α_s M e₁.
    """

    M: Array
    B: Array
    bias: Array
    _integrals: mo.SideIntegrals
    _v: Array
    _nu_z: float
    _c2: Array
    _D: Array
    _N: Array

    def source(self, K: Array) -> Array:
        """(E, p_s, p_s) E_u[c² ψ_sψ_sᵀ r(ξ)] for teachers' second moments K (E, p_w, p_w): 2.7."""
        s = self._integrals
        unseen = np.einsum("ij,eij->e", self._N, K)
        R = np.einsum("ecik,ekl,ecjl->ecij", self._D, K, self._D)
        X = s.mix(mo.fourth_order_full(self._c2, s.d, R))
        X += unseen[:, None, None] * mo.expand(mo.second_order(s.mix(self._c2), s.d), s.d)
        return to_psi(X, s.H)

    def V(self, K: Array) -> Array:
        """(E, p_s, p_s) V_s for teachers' second moments K (E, p_w, p_w). Source: equation 2.7."""
        s = self._integrals
        X = s.H.T @ self.source(K) @ s.H
        return to_psi(fluctuation(s, self._v, self._nu_z, self._c2, X[:, None])[:, 0], s.H)

    def noise_form(self, A: Array) -> Array:
        """(E, T, p_w, p_w) G with tr(A_t V_s(K)) = tr(G K), for A (T, p_s, p_s).

        V_s is linear in K and the map is self-adjoint up to the source term, so one solve with
        A_t in the source's place serves every teacher.
        """
        s = self._integrals
        rotated = np.broadcast_to(s.H.T @ A @ s.H, (len(self._v), *A.shape[:1], *[s.d + 2] * 2))
        Y = fluctuation(s, self._v, self._nu_z, self._c2, rotated)
        F = mo.fourth_order_full(self._c2[:, None], s.d, Y[:, :, None])
        S2 = mo.expand(mo.second_order(s.mix(self._c2), s.d), s.d)
        G = np.einsum("ec,ecik,etcij,ecjl->etkl", s.weight, self._D, F, self._D, optimize=True)
        unseen = np.einsum("etij,eij->et", Y, S2)
        return np.asarray(G + unseen[:, :, None, None] * self._N, dtype=np.float64)

    def risk(self, teacher: TeacherLimits, A: Array) -> Array:
        """(E_l, E_u, T) ER_t of the student of every teacher. Source: equation 2.8."""
        G = self.noise_form(A)
        P = np.einsum("uik,tij,ujl->utkl", self.B, A, self.B, optimize=True) + G
        b = teacher.bias + np.eye(self.B.shape[2])[0]
        drift = np.einsum("uij,lj->lui", self.B, teacher.bias) + self.bias
        bias = np.einsum("lk,utkm,lm->lut", b, G, b, optimize=True)
        bias += np.einsum("lui,tij,luj->lut", drift, A, drift, optimize=True)
        noise = np.einsum("utkl,mkl->mut", P, teacher.V, optimize=True)
        return np.asarray(noise + teacher.beta_norm**2 * bias, dtype=np.float64)


def teacher_limits(model: GroupModel, regime: Regime, eta_l: Array, nodes: int) -> TeacherLimits:
    """Teacher at every eta_l (E,), with `nodes` quadrature points a dimension: 2.1-2.3."""
    s = mo.side_integrals(model, "teacher", eta_l, nodes)
    v = fixed_point(s, "teacher", model.p_w, regime)
    gamma_z, alpha_w = regime.gamma_z, regime.alpha_w
    c2 = s.mix(s.tilted(v, gamma_z, 2))
    J = mo.fourth_order(c2, s.d)
    missed = np.stack([v[:, 0] ** 2, v[:, 0] * v[:, 1], v[:, 1] ** 2, 0 * v[:, 0]], axis=-1)
    source = model.sigma_y**2 * mo.second_order(c2, s.d)
    source += (alpha_w * model.beta_norm) ** 2 * np.einsum("eij,ej->ei", J, missed)
    D = gamma_z * mo.sandwich(v)
    V4 = np.linalg.solve(np.eye(4) - D @ J, np.einsum("eij,ej->ei", D, source)[..., None])[..., 0]
    M, V = to_psi(mo.expand(v, s.d), s.H), to_psi(mo.expand(V4, s.d), s.H)
    bias = -alpha_w * M[:, :, 0]
    b = bias + np.eye(model.p_w)[0]
    K = V + model.beta_norm**2 * b[:, :, None] * b[:, None, :]
    return TeacherLimits(M, bias, V, K, model.beta_norm)


def student_limits(model: GroupModel, regime: Regime, eta_u: Array, nodes: int) -> StudentLimits:
    """Student at every eta_u (E,), with `nodes` quadrature points a dimension: 2.5-2.6.

    Given ψ_s and the component, ψ_w is Gaussian with mean Lᵀψ_s and covariance N, so that only
    the student's own features are integrated numerically.
    """
    s = mo.side_integrals(model, "student", eta_u, nodes)
    v = fixed_point(s, "student", model.p_s, regime)
    nu_z, alpha_s = regime.nu_z, regime.alpha_s
    M_rotated = mo.expand(v, s.d)
    M = to_psi(M_rotated, s.H)
    bias = -alpha_s * M[:, :, 0]
    Xi = model.Xi
    away = model.W.T @ model.mu_xi - Xi @ (model.S.T @ model.mu_xi)
    L = np.zeros((*s.shift.shape, model.p_s, model.p_w))
    L[..., 0, 0] = 1.0
    L[..., 0, 1:] = s.shift[..., None] * away
    L[..., 1:, 1:] = Xi.T
    c1 = mo.expand(mo.second_order(s.tilted(v, nu_z, 1), s.d), s.d)
    B = s.H @ M_rotated @ np.einsum("ec,ecij,ecjk->eik", s.weight, c1 @ s.H.T, L)
    # B e₁ = e₁ - α_s M_s e₁ exactly; writing it so keeps ridgeless bias free of rounding.
    B[:, :, 0] = bias + np.eye(model.p_s)[0]
    D = L - B[:, None]
    D[..., 0] = -bias[:, None]
    N = np.zeros((model.p_w, model.p_w))
    N[1:, 1:] = model.sigma_xi**2 * (np.eye(model.p_w - 1) - Xi @ Xi.T)
    return StudentLimits(M, B, bias, s, v, nu_z, s.tilted(v, nu_z, 2), s.H.T @ D, N)
