"""The gain over the plane of (η_ℓ, η_u): exact beside printed, its zero line, the best η_u.

The teacher depends on η_ℓ alone, the student's M_s and B on η_u alone, and the student's risk is
linear in the teacher's V and K: a map of L × U costs L + U limits and one contraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.theory import expansions
from w2s_groups.theory.limits import (
    NODE_LADDER,
    relative_change,
    student_limits,
    teacher_limits,
    test_moments,
)
from w2s_groups.theory.model import Array, GroupModel, check_eta

BEST_GRID = 129


@dataclass(frozen=True, eq=False)
class RiskMap:
    """Exact risks teacher (T, L) and student (T, L, U), units of y², and their relative error."""

    teacher: Array
    student: Array
    error: float

    @property
    def gain(self) -> Array:
        """(T, L, U) ΔR, positive where W2S happens."""
        return self.teacher[:, :, None] - self.student


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """Gain at eta_t (T,) over eta_l (L,) × eta_u (U,).

    gain_exact, gain_printed (T, L, U); best_eta_u_exact, best_eta_u_printed (T, L), in [0, 1/2];
    error: relative, of the exact risks. "Printed" is LDL25's: location law, ridgeless, first order,
    whatever the model's law; all nan for a ridge model, which it does not cover.
    """

    eta_l: Array
    eta_u: Array
    eta_t: Array
    gain_exact: Array
    gain_printed: Array
    best_eta_u_exact: Array
    best_eta_u_printed: Array
    error: float


def risk_map(
    model: GroupModel,
    *,
    gamma_z: float,
    nu_z: float,
    eta_l: Array,
    eta_u: Array,
    eta_t: Sequence[float],
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
    rtol: float = 1e-5,
) -> RiskMap:
    """Exact risks on a grid, integrated until none moves by more than rtol; errors as limits."""
    for field, axis in (("eta_l", eta_l), ("eta_u", eta_u), ("eta_t", np.asarray(eta_t))):
        if axis.ndim != 1 or axis.size == 0:
            raise InputError(f"{field} of shape {axis.shape} is no axis: give a list of fractions")
        for eta in axis:
            check_eta(field, float(eta))
    A_w, A_s = (test_moments(model, side, eta_t) for side in ("teacher", "student"))
    previous: Array | None = None
    error = np.inf
    for nodes in NODE_LADDER:
        teachers = teacher_limits(model, eta_l, gamma_z, alpha_w, nodes)
        students = student_limits(model, eta_u, nu_z, alpha_s, nodes)
        teacher, student = teachers.risk(A_w), students.risk(teachers, A_s)
        risks = np.concatenate([teacher.ravel(), student.ravel()])
        if previous is not None:
            error = relative_change(risks, previous)
            if error <= rtol:
                break
        previous = risks
    return RiskMap(teacher.T, np.moveaxis(student, 2, 0), error)


def phase_map(
    model: GroupModel,
    *,
    gamma_z: float,
    nu_z: float,
    eta_l: Array,
    eta_u: Array,
    eta_t: Sequence[float] = (0.0, 0.5, 1.0),
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
    rtol: float = 1e-5,
) -> PhaseMap:
    """Everything a phase-map figure shows. Source: docs/theory.md, sections 2 and 3."""
    grid = risk_map(
        model,
        gamma_z=gamma_z,
        nu_z=nu_z,
        eta_l=eta_l,
        eta_u=eta_u,
        eta_t=eta_t,
        alpha_w=alpha_w,
        alpha_s=alpha_s,
        rtol=rtol,
    )
    printed = np.full(grid.gain.shape, np.nan)
    best_printed = np.full(grid.teacher.shape, np.nan)
    if alpha_w == alpha_s == 0:
        for t, row in np.ndindex(*best_printed.shape):
            test, labelled = float(eta_t[t]), float(eta_l[row])
            best_printed[t, row] = expansions.best_eta_u_location(
                model, nu_z=nu_z, eta_l=labelled, eta_t=test
            )
            printed[t, row] = [
                expansions.gain_location(
                    model,
                    gamma_z=gamma_z,
                    nu_z=nu_z,
                    eta_l=labelled,
                    eta_u=float(u),
                    eta_t=test,
                )
                for u in eta_u
            ]
    best = best_eta_u_exact(
        model,
        gamma_z=gamma_z,
        nu_z=nu_z,
        eta_l=eta_l,
        eta_t=eta_t,
        alpha_w=alpha_w,
        alpha_s=alpha_s,
        rtol=rtol,
    )
    return PhaseMap(
        eta_l, eta_u, np.asarray(eta_t, dtype=np.float64), grid.gain, printed, best, best_printed,
        grid.error,
    )  # fmt: skip


def best_eta_u_exact(
    model: GroupModel,
    *,
    gamma_z: float,
    nu_z: float,
    eta_l: Array,
    eta_t: Sequence[float],
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
    rtol: float = 1e-5,
) -> Array:
    """(T, L) η_u in [0, 1/2] of the least exact student risk, equally the largest gain.

    Least point of a grid of 129, refined by the parabola through it and its neighbours (error
    below 1e-4 for the smooth risks here); nan where the risk does not depend on η_u.
    """
    axis = np.linspace(0, 0.5, BEST_GRID)
    risk = risk_map(
        model,
        gamma_z=gamma_z,
        nu_z=nu_z,
        eta_l=eta_l,
        eta_u=axis,
        eta_t=eta_t,
        alpha_w=alpha_w,
        alpha_s=alpha_s,
        rtol=rtol,
    ).student
    lowest = np.argmin(risk, axis=2)
    middle = np.clip(lowest, 1, BEST_GRID - 2)
    left, centre, right = (
        np.take_along_axis(risk, (middle + step)[..., None], axis=2)[..., 0] for step in (-1, 0, 1)
    )
    curvature = left - 2 * centre + right
    offset = np.divide(left - right, 2 * curvature, out=np.zeros_like(left), where=curvature > 0)
    vertex = np.clip(axis[middle] + offset * axis[1], 0, 0.5)
    best = np.where(curvature > 0, vertex, axis[lowest])
    flat = np.ptp(risk, axis=2) <= 1e-10 * risk.max(axis=2)
    return np.where(flat, np.nan, best)


def zero_points(gain: Array, eta_l: Array, eta_u: Array) -> Array:
    """(m, 2) points (eta_l, eta_u) where gain (L, U) changes sign along either axis of the grid.

    Linear interpolation between neighbours, so O(step²) from the zero line.
    """
    points: list[tuple[float, float]] = []
    for labelled, row in zip(eta_l, gain, strict=True):
        points += [(float(labelled), zero) for zero in sign_changes(eta_u, row)]
    for unlabelled, column in zip(eta_u, gain.T, strict=True):
        points += [(zero, float(unlabelled)) for zero in sign_changes(eta_l, column)]
    return np.array(points).reshape(-1, 2)


def sign_changes(axis: Array, values: Array) -> list[float]:
    """Zeros of the piecewise linear function through (axis, values), increasing."""
    low, high = values[:-1], values[1:]
    at = np.flatnonzero((low * high < 0) | ((low == 0) & (high != 0)))
    return [float(axis[i] - low[i] * (axis[i + 1] - axis[i]) / (high[i] - low[i])) for i in at]
