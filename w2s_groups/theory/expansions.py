"""First order in γ_z and ν_z, ridgeless: LDL25's printed limits, and what any law gives.

The names carry the law: LDL25 states the Bernoulli mixture, but its printed limits are those of the
location law. All are in units of y². With a = Wᵀμ, b = Ξ Sᵀμ, k = p_w - p_{s∧w}; numbers of the
equations: docs/theory.md, section 3. The factors 1/(1 - γ_z p_w) of the exact limits (limits.py)
are not printed and so not here. The ridge weights of a regime play no part.
"""

from __future__ import annotations

import numpy as np

from w2s_groups.theory.model import Array, GroupModel, check_eta
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.sides import student_limits

# With these the trapezoidal rule integrates quartics of a Gaussian to rounding.
POLYNOMIAL_NODES = 64


def teacher_location(model: GroupModel, regime: Regime, *, eta_l: float, eta_t: float) -> float:
    """σ_y²γ_z (p_w + (η_t - η_ℓ)²‖a‖²/σ_ξ²). Source: LDL25's teacher limit; equation 3.1."""
    _check(eta_l=eta_l, eta_t=eta_t)
    a = model.W.T @ model.mu_xi
    return _rate(model, regime) * (model.p_w + (eta_t - eta_l) ** 2 * _energy(model, a))


def student_location(
    model: GroupModel, regime: Regime, *, eta_l: float, eta_u: float, eta_t: float
) -> float:
    """σ_y²γ_z (p_{s∧w} + ‖(η_u - η_ℓ)a + (η_t - η_u)b‖²/σ_ξ² + ν_z k q_s).

    q_s = p_s + (η_t - η_u)²‖Sᵀμ‖²/σ_ξ². Source: LDL25's student limit; equation 3.2.
    """
    _check(eta_l=eta_l, eta_u=eta_u, eta_t=eta_t)
    a, s = model.W.T @ model.mu_xi, model.S.T @ model.mu_xi
    drift = (eta_u - eta_l) * a + (eta_t - eta_u) * (model.Xi @ s)
    finite_n = (model.p_w - model.p_sw) * (model.p_s + (eta_t - eta_u) ** 2 * _energy(model, s))
    return _rate(model, regime) * (model.p_sw + _energy(model, drift) + regime.nu_z * finite_n)


def gain_location(
    model: GroupModel, regime: Regime, *, eta_l: float, eta_u: float, eta_t: float
) -> float:
    """Printed ΔR = equation 3.1 - equation 3.2."""
    teacher = teacher_location(model, regime, eta_l=eta_l, eta_t=eta_t)
    return teacher - student_location(model, regime, eta_l=eta_l, eta_u=eta_u, eta_t=eta_t)


def best_eta_u_location(model: GroupModel, regime: Regime, *, eta_l: float, eta_t: float) -> float:
    """η_u in [0, 1/2] that minimises equation 3.2; nan where it does not depend on η_u.

    [(η_ℓ a - η_t b)·(a - b) + ν_z k η_t‖Sᵀμ‖²] / [‖a - b‖² + ν_z k‖Sᵀμ‖²], clipped. Source: 3.3.
    """
    _check(eta_l=eta_l, eta_t=eta_t)
    a, s = model.W.T @ model.mu_xi, model.S.T @ model.mu_xi
    b = model.Xi @ s
    finite_n = regime.nu_z * (model.p_w - model.p_sw) * float(s @ s)
    bottom = float((a - b) @ (a - b)) + finite_n
    if bottom <= 1e-14 * (float(a @ a) + float(s @ s)):
        return float("nan")
    top = float((eta_l * a - eta_t * b) @ (a - b)) + eta_t * finite_n
    return float(np.clip(top / bottom, 0, 0.5))


def teacher_first_order(model: GroupModel, regime: Regime, *, eta_l: float, eta_t: float) -> float:
    """σ_y²γ_z tr(C_ℓ⁻¹C_t), C = E[ψ_wψ_wᵀ], under the model's own law. Source: equation 3.5."""
    _check(eta_l=eta_l, eta_t=eta_t)
    C_l, C_t = (model.second_moment("teacher", eta) for eta in (eta_l, eta_t))
    return _rate(model, regime) * float(np.trace(np.linalg.solve(C_l, C_t)))


def student_first_order(
    model: GroupModel, regime: Regime, *, eta_l: float, eta_u: float, eta_t: float
) -> float:
    """σ_y²γ_z tr(C_ℓ⁻¹ B P_t Bᵀ) + ν_z tr(P_t P_u⁻¹ E_u[ψ_sψ_sᵀ r] P_u⁻¹), any law.

    P = E[ψ_sψ_sᵀ], B = E_u[ψ_wψ_sᵀ]P_u⁻¹; r(ξ) is the teacher's noise that ψ_s misses. Its first
    part is exact in η_u at any law; both reduce to 3.2 under the location law. Source: 3.6.
    """
    _check(eta_l=eta_l, eta_u=eta_u, eta_t=eta_t)
    C_l = model.second_moment("teacher", eta_l)
    K = _rate(model, regime) * np.linalg.inv(C_l).astype(np.float64)
    student = student_limits(model, Regime(0.0, 0.0), np.array([eta_u]), POLYNOMIAL_NODES)
    B, M, P_t = student.B[0], student.M[0], model.second_moment("student", eta_t)
    finite_n = M @ student.source(K[None])[0] @ M
    return float(np.sum(P_t * (B @ K @ B.T + regime.nu_z * finite_n)))


def _rate(model: GroupModel, regime: Regime) -> float:
    return float(model.sigma_y**2 * regime.gamma_z)


def _energy(model: GroupModel, v: Array) -> float:
    return float(v @ v) / model.sigma_xi**2


def _check(**etas: float) -> None:
    for field, eta in etas.items():
        check_eta(field, eta)
