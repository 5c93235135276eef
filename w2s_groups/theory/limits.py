"""Exact limits of teacher and student for d_z, n, N -> infinity, d_z/n -> γ_z, d_z/N -> ν_z.

These limits are this project's own: neither LDL25 nor DLLL25 states them. They hold for both laws,
any ridge α >= 0, and (with α > 0) more parameters than samples. Derivation, and the numbers of
the equations below: docs/theory.md, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from w2s_groups.core.errors import InputError
from w2s_groups.theory import moments as mo
from w2s_groups.theory.model import Array, GroupModel, Side, check_eta, check_range

STEP_TOL = 1e-9
MAX_STEPS = 100
NODE_LADDER = (24, 48, 96, 192)


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
        return _to_psi(X, s.H)

    def V(self, K: Array) -> Array:
        """(E, p_s, p_s) V_s for teachers' second moments K (E, p_w, p_w). Source: equation 2.7."""
        s = self._integrals
        X = s.H.T @ self.source(K) @ s.H
        return _to_psi(_fluctuation(s, self._v, self._nu_z, self._c2, X[:, None])[:, 0], s.H)

    def noise_form(self, A: Array) -> Array:
        """(E, T, p_w, p_w) G with tr(A_t V_s(K)) = tr(G K), for A (T, p_s, p_s).

        V_s is linear in K and the map is self-adjoint up to the source term, so one solve with
        A_t in the source's place serves every teacher.
        """
        s = self._integrals
        rotated = np.broadcast_to(s.H.T @ A @ s.H, (len(self._v), *A.shape[:1], *[s.d + 2] * 2))
        Y = _fluctuation(s, self._v, self._nu_z, self._c2, rotated)
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
        spread = np.einsum("utkl,mkl->mut", P, teacher.V, optimize=True)
        return np.asarray(spread + teacher.beta_norm**2 * bias, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Limits:
    """Exact limits of one setting: docs/theory.md 2.1-2.8, in the papers' symbols.

    M_w, V_w, K (p_w, p_w); b_w (p_w,); M_s, V_s (p_s, p_s); B (p_s, p_w). `error`: largest relative
    change of the risks at η_t = 0, 1/2, 1 when the nodes of each integral were last doubled.
    """

    model: GroupModel
    M_w: Array
    b_w: Array
    V_w: Array
    K: Array
    M_s: Array
    B: Array
    V_s: Array
    error: float
    _bias_w: Array
    _bias_s: Array

    def teacher_risk(self, eta_t: ArrayLike) -> Array:
        """ER_t(f_w), units of y², shaped as eta_t (fractions in [0, 1])."""
        return self._risk("teacher", self.V_w, self._bias_w, eta_t)

    def student_risk(self, eta_t: ArrayLike) -> Array:
        """ER_t(f_s), units of y², shaped as eta_t (fractions in [0, 1])."""
        spread = self.B @ self.V_w @ self.B.T + self.V_s
        return self._risk("student", spread, self.B @ self._bias_w + self._bias_s, eta_t)

    def gain(self, eta_t: ArrayLike) -> Array:
        """ΔR = ER_t(f_w) - ER_t(f_s), shaped as eta_t: positive where W2S happens."""
        return self.teacher_risk(eta_t) - self.student_risk(eta_t)

    def _risk(self, side: Side, spread: Array, bias: Array, eta_t: ArrayLike) -> Array:
        etas = np.asarray(eta_t, dtype=np.float64)
        A = test_moments(self.model, side, etas.ravel())
        energy = spread + self.model.beta_norm**2 * np.outer(bias, bias)
        return np.asarray(np.einsum("tij,ij->t", A, energy), dtype=np.float64).reshape(etas.shape)


def exact_limits(
    model: GroupModel,
    *,
    gamma_z: float,
    nu_z: float,
    eta_l: float,
    eta_u: float,
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
    rtol: float = 1e-6,
) -> Limits:
    """Exact limits of teacher and student, integrated until the risks move by less than rtol.

    gamma_z, nu_z >= 0 are d_z/n and d_z/N; alpha 0 means least squares. InputError where a
    ridgeless side has no fixed point (γ_z p_w >= 1, ν_z p_s >= 1). Source: docs/theory.md 2.
    """
    A_w, A_s = (test_moments(model, side, np.array([0, 0.5, 1])) for side in ("teacher", "student"))
    eta_l_axis = np.array([check_eta("eta_l", float(eta_l))])
    eta_u_axis = np.array([check_eta("eta_u", float(eta_u))])
    previous: Array | None = None
    error = np.inf
    for nodes in NODE_LADDER:
        teacher = teacher_limits(model, eta_l_axis, gamma_z, alpha_w, nodes)
        student = student_limits(model, eta_u_axis, nu_z, alpha_s, nodes)
        risks = np.stack([teacher.risk(A_w)[0], student.risk(teacher, A_s)[0, 0]])
        if previous is not None:
            error = relative_change(risks, previous)
            if error <= rtol:
                break
        previous = risks
    bias_w = teacher.bias[0]
    b_w = np.eye(model.p_w)[0] + bias_w
    return Limits(
        model,
        M_w=teacher.M[0],
        b_w=b_w,
        V_w=teacher.V[0],
        K=teacher.K[0],
        M_s=student.M[0],
        B=student.B[0],
        V_s=student.V(teacher.K)[0],
        error=error,
        _bias_w=bias_w,
        _bias_s=student.bias[0],
    )


def teacher_limits(
    model: GroupModel, eta_l: Array, gamma_z: float, alpha_w: float, nodes: int
) -> TeacherLimits:
    """Teacher at every eta_l (E,), with `nodes` quadrature points a dimension: 2.1-2.3."""
    s = mo.side_integrals(model, "teacher", eta_l, nodes)
    v = _fixed_point(s, "teacher", model.p_w, gamma_z, alpha_w)
    c2 = s.mix(s.tilted(v, gamma_z, 2))
    J = mo.fourth_order(c2, s.d)
    missed = np.stack([v[:, 0] ** 2, v[:, 0] * v[:, 1], v[:, 1] ** 2, 0 * v[:, 0]], axis=-1)
    source = model.sigma_y**2 * mo.second_order(c2, s.d)
    source += (alpha_w * model.beta_norm) ** 2 * np.einsum("eij,ej->ei", J, missed)
    D = gamma_z * mo.sandwich(v)
    V4 = np.linalg.solve(np.eye(4) - D @ J, np.einsum("eij,ej->ei", D, source)[..., None])[..., 0]
    M, V = _to_psi(mo.expand(v, s.d), s.H), _to_psi(mo.expand(V4, s.d), s.H)
    bias = -alpha_w * M[:, :, 0]
    b = bias + np.eye(model.p_w)[0]
    K = V + model.beta_norm**2 * b[:, :, None] * b[:, None, :]
    return TeacherLimits(M, bias, V, K, model.beta_norm)


def student_limits(
    model: GroupModel, eta_u: Array, nu_z: float, alpha_s: float, nodes: int
) -> StudentLimits:
    """Student at every eta_u (E,), with `nodes` quadrature points a dimension: 2.5-2.6.

    Given ψ_s and the component, ψ_w is Gaussian with mean Lᵀψ_s and covariance N, so that only
    the student's own features are integrated numerically.
    """
    s = mo.side_integrals(model, "student", eta_u, nodes)
    v = _fixed_point(s, "student", model.p_s, nu_z, alpha_s)
    M_rotated = mo.expand(v, s.d)
    M = _to_psi(M_rotated, s.H)
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


def test_moments(model: GroupModel, side: Side, eta_t: Sequence[float] | Array) -> Array:
    """(T, p_side, p_side) A_t at each eta_t; InputError for one outside [0, 1]."""
    return np.stack([model.second_moment(side, check_eta("eta_t", float(e))) for e in eta_t])


def relative_change(new: Array, old: Array) -> float:
    """Largest |new - old| / |new| over entries, 0 where both are 0."""
    scale = np.abs(new)
    change = np.abs(new - old)
    return float(np.max(np.divide(change, scale, out=np.zeros_like(change), where=change > 0)))


def _fixed_point(s: mo.SideIntegrals, side: Side, p_side: int, scale: float, alpha: float) -> Array:
    """(E, 4) M = (αI + E[c ψψᵀ])⁻¹, c = 1/(1 + scale ψᵀMψ). Source: docs/theory.md 2.1 and 2.5.

    Newton's method for P = M⁻¹ = αI + E[c ψψᵀ], whose right-hand side is increasing and concave in
    P: from above the steps fall monotonically to the largest solution. Stops once a step is below
    STEP_TOL relative; the error left is of the order of its square.
    """
    ratio, ridge, dim = _NAMES[side]
    check_range(ratio, scale, above=0)
    check_range(ridge, alpha, above=0)
    if alpha == 0 and scale * p_side >= 1:
        raise InputError(
            f"{ratio}={scale:g} with {dim}={p_side} and {ridge}=0 has no limit: least squares "
            f"needs {ratio} * {dim} < 1; lower {ratio} below {1 / p_side:.4g} or set {ridge} > 0"
        )
    added = alpha * np.array([1.0, 0.0, 1.0, 1.0]) + s.pad
    P = mo.second_order(s.mix(s.tilted(np.zeros((len(s.weight), 4)), 0.0, 1)), s.d) + added
    for _ in range(MAX_STEPS):
        M = mo.inverse(P)
        gap = mo.second_order(s.mix(s.tilted(M, scale, 1)), s.d) + added - P
        J = scale * mo.fourth_order(s.mix(s.tilted(M, scale, 2)), s.d)
        step = np.linalg.solve(np.eye(4) - J @ mo.sandwich(M), gap[..., None])[..., 0]
        P = P + step
        size = np.stack([P[:, 0], np.sqrt(P[:, 0] * P[:, 2]), P[:, 2], P[:, 3]], axis=-1)
        if np.all(np.abs(step) <= STEP_TOL * size):
            return mo.inverse(P)
    raise InputError(
        f"{ratio}={scale:g} with {ridge}={alpha:g}: the {side}'s fixed point was not reached in "
        f"{MAX_STEPS} Newton steps, too close to interpolation; raise {ridge}"
    )


_NAMES: dict[Side, tuple[str, str, str]] = {
    "teacher": ("gamma_z", "alpha_w", "p_w"),
    "student": ("nu_z", "alpha_s", "p_s"),
}


def _fluctuation(s: mo.SideIntegrals, v: Array, scale: float, c2: Array, X: Array) -> Array:
    """(E, T, q, q) solution of V = scale M (X + E[c² ψψᵀ (ψᵀVψ)]) M for symmetric X (E, T, q, q).

    The map splits into three independent parts: matrices that share the law's symmetry, the block
    between (1, x) and y, and the traceless part of the y block.
    """
    mixed = s.mix(c2)
    n = max(s.d, 1)
    D = scale * mo.sandwich(v)
    trace = np.trace(X[..., 2:, 2:], axis1=-2, axis2=-1) / n
    X4 = np.stack([X[..., 0, 0], X[..., 0, 1], X[..., 1, 1], trace], axis=-1)
    system = np.eye(4) - D @ mo.fourth_order(mixed, s.d)
    V4 = np.linalg.solve(system[:, None], np.einsum("eij,etj->eti", D, X4)[..., None])[..., 0]
    V = mo.expand(V4, s.d)
    if s.d:
        M2 = scale * v[:, 3, None, None] * mo.expand(v, 0)
        Q = np.stack([mixed[:, 0, 1], mixed[:, 1, 1], mixed[:, 1, 1], mixed[:, 2, 1]], axis=-1)
        system = np.eye(2) - 2 / n * M2 @ Q.reshape(-1, 2, 2)
        V[..., :2, 2:] = np.linalg.solve(system[:, None], M2[:, None] @ X[..., :2, 2:])
        V[..., 2:, :2] = np.swapaxes(V[..., :2, 2:], -1, -2)
        gain = scale * v[:, 3] ** 2
        factor = gain / (1 - 2 * gain * mixed[:, 0, 2] / (n * (n + 2)))
        traceless = X[..., 2:, 2:] - trace[..., None, None] * np.eye(s.d)
        V[..., 2:, 2:] += factor[:, None, None, None] * traceless
    return V


def _to_psi(rotated: Array, H: Array) -> Array:
    return np.asarray(H @ rotated @ H.T, dtype=np.float64)
