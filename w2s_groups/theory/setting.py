"""A setting of the group model from its summaries, and its exact limits."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_groups.core.errors import InputError
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.exact import Limits, exact_limits
from w2s_groups.theory.model import GroupModel, Law
from w2s_groups.theory.regime import Regime


def model_of(
    *,
    p_w: int,
    mu_w: float,
    mu_s: float,
    p_s: int | None = None,
    p_sw: float | None = None,
    cos: Sequence[float] | None = None,
    alignment: float | None = None,
    sigma_xi: float = 1.0,
    sigma_y: float = 1.0,
    beta_norm: float = 1.0,
    law: Law = "mixture",
) -> GroupModel:
    """The model of these summaries; InputError unless it has p_s and p_sw, or cos."""
    if cos is None:
        if p_s is None or p_sw is None:
            raise InputError("the student needs p_s and p_sw, or cos; give one of the two")
        cos = equal_cosines(p_w, p_s, p_sw)
    elif p_s is not None or p_sw is not None:
        raise InputError("cos already fixes p_s and p_sw; give cos, or p_s and p_sw, not both")
    return model_with_overlap(
        p_w=p_w,
        cos=cos,
        mu_w=mu_w,
        mu_s=mu_s,
        alignment=alignment,
        sigma_xi=sigma_xi,
        sigma_y=sigma_y,
        beta_norm=beta_norm,
        law=law,
    )


def limits(
    *,
    p_w: int,
    mu_w: float,
    mu_s: float,
    gamma_z: float,
    nu_z: float,
    eta_l: float,
    eta_u: float,
    p_s: int | None = None,
    p_sw: float | None = None,
    cos: Sequence[float] | None = None,
    alignment: float | None = None,
    sigma_xi: float = 1.0,
    sigma_y: float = 1.0,
    beta_norm: float = 1.0,
    law: Law = "mixture",
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
) -> Limits:
    """Exact limits of teacher and student: .teacher_risk, .student_risk and .gain of eta_t.

    p_w, p_s: dimensions of the group features, the constant counted; p_sw = 1 + ‖Ξ‖_F², or cos, the
    principal cosines in place of p_s and p_sw; mu_w = ‖Wᵀμ‖, mu_s = ‖Sᵀμ‖; gamma_z = d_z / n and
    nu_z = d_z / N; eta_l, eta_u: minority fractions; alpha_w, alpha_s: ridge, 0 for least squares.
    InputError where there is no limit. Source: docs/theory.md 2; symbols of LDL25 section 3.
    """
    model = model_of(
        p_w=p_w, mu_w=mu_w, mu_s=mu_s, p_s=p_s, p_sw=p_sw, cos=cos, alignment=alignment,
        sigma_xi=sigma_xi, sigma_y=sigma_y, beta_norm=beta_norm, law=law,
    )  # fmt: skip
    regime = Regime(gamma_z, nu_z, alpha_w, alpha_s)
    return exact_limits(model, regime, eta_l=eta_l, eta_u=eta_u)
