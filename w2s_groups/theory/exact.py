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
from w2s_groups.theory.model import Array, GroupModel, Side, check_eta
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.sides import StudentLimits, TeacherLimits, student_limits, teacher_limits

NODE_LADDER = (24, 48, 96, 192)


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
        noise = self.B @ self.V_w @ self.B.T + self.V_s
        return self._risk("student", noise, self.B @ self._bias_w + self._bias_s, eta_t)

    def gain(self, eta_t: ArrayLike) -> Array:
        """ΔR = ER_t(f_w) - ER_t(f_s), shaped as eta_t: positive where W2S happens."""
        return self.teacher_risk(eta_t) - self.student_risk(eta_t)

    def _risk(self, side: Side, noise: Array, bias: Array, eta_t: ArrayLike) -> Array:
        etas = np.asarray(eta_t, dtype=np.float64)
        A = self.model.test_moments(side, etas.ravel())
        energy = noise + self.model.beta_norm**2 * np.outer(bias, bias)
        return np.asarray(np.einsum("tij,ij->t", A, energy), dtype=np.float64).reshape(etas.shape)


def exact_limits(
    model: GroupModel, regime: Regime, *, eta_l: float, eta_u: float, rtol: float = 1e-6
) -> Limits:
    """Exact limits of teacher and student, integrated until the risks move by less than rtol.

    InputError where a ridgeless side has no fixed point (γ_z p_w >= 1, ν_z p_s >= 1), and for
    fractions outside [0, 1]. Source: docs/theory.md 2.
    """
    axes = np.array([float(eta_l)]), np.array([float(eta_u)])
    integrated = integrate(model, regime, *axes, (0.0, 0.5, 1.0), rtol)
    teacher, student = integrated.teacher, integrated.student
    return Limits(
        model,
        M_w=teacher.M[0],
        b_w=np.eye(model.p_w)[0] + teacher.bias[0],
        V_w=teacher.V[0],
        K=teacher.K[0],
        M_s=student.M[0],
        B=student.B[0],
        V_s=student.V(teacher.K)[0],
        error=integrated.error,
        _bias_w=teacher.bias[0],
        _bias_s=student.bias[0],
    )


@dataclass(frozen=True, eq=False)
class Integrated:
    """Both sides on axes eta_l (L,) and eta_u (U,), and their risks at eta_t (T,).

    teacher_risk (L, T), student_risk (L, U, T); error: largest relative change of a risk when the
    nodes of each integral were last doubled.
    """

    teacher: TeacherLimits
    student: StudentLimits
    teacher_risk: Array
    student_risk: Array
    error: float


def integrate(
    model: GroupModel,
    regime: Regime,
    eta_l: Array,
    eta_u: Array,
    eta_t: Sequence[float],
    rtol: float,
) -> Integrated:
    """Limits at every (eta_l, eta_u, eta_t), at the first rule whose risks move by at most rtol.

    The finest rule of NODE_LADDER where none does. InputError as `exact_limits`.
    """
    for field, axis in (("eta_l", eta_l), ("eta_u", eta_u), ("eta_t", np.asarray(eta_t))):
        if axis.ndim != 1 or axis.size == 0:
            raise InputError(f"{field} of shape {axis.shape} is not an axis: give a list")
        for eta in axis:
            check_eta(field, float(eta))
    A_w, A_s = (model.test_moments(side, eta_t) for side in ("teacher", "student"))
    previous: Array | None = None
    error = np.inf
    for nodes in NODE_LADDER:
        teacher = teacher_limits(model, regime, eta_l, nodes)
        student = student_limits(model, regime, eta_u, nodes)
        of_teacher, of_student = teacher.risk(A_w), student.risk(teacher, A_s)
        risks = np.concatenate([of_teacher.ravel(), of_student.ravel()])
        if previous is not None:
            error = _relative_change(risks, previous)
            if error <= rtol:
                break
        previous = risks
    return Integrated(teacher, student, of_teacher, of_student, error)


def _relative_change(new: Array, old: Array) -> float:
    """Largest |new - old| / |new| over entries, 0 where both are 0."""
    scale = np.abs(new)
    change = np.abs(new - old)
    return float(np.max(np.divide(change, scale, out=np.zeros_like(change), where=change > 0)))
