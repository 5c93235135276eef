"""The gain over the plane of (η_ℓ, η_u): exact and printed, its zero line, the best η_u.

The teacher depends on η_ℓ only, the student's M_s and B on η_u only, and the student's risk is
linear in the teacher's V and K: a map of L × U costs L + U limits and one contraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2s_groups.theory import expansions
from w2s_groups.theory.exact import integrate
from w2s_groups.theory.model import Array, GroupModel
from w2s_groups.theory.regime import Regime

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
    for a model of either law; all nan for a ridge model, which it does not cover.
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
    regime: Regime,
    *,
    eta_l: Array,
    eta_u: Array,
    eta_t: Sequence[float],
    rtol: float = 1e-5,
) -> RiskMap:
    """Exact risks on a grid, integrated until none moves by more than rtol; errors as limits."""
    grid = integrate(model, regime, eta_l, eta_u, eta_t, rtol)
    return RiskMap(grid.teacher_risk.T, np.moveaxis(grid.student_risk, 2, 0), grid.error)


def phase_map(
    model: GroupModel,
    regime: Regime,
    *,
    eta_l: Array,
    eta_u: Array,
    eta_t: Sequence[float] = (0.0, 0.5, 1.0),
    rtol: float = 1e-5,
) -> PhaseMap:
    """Everything a phase-map figure shows. Source: docs/theory.md, sections 2 and 3."""
    grid = risk_map(model, regime, eta_l=eta_l, eta_u=eta_u, eta_t=eta_t, rtol=rtol)
    printed, best_printed = _printed_map(model, regime, eta_l, eta_u, eta_t)
    best = best_eta_u_exact(model, regime, eta_l=eta_l, eta_t=eta_t, rtol=rtol)
    return PhaseMap(
        eta_l, eta_u, np.asarray(eta_t, dtype=np.float64), grid.gain, printed, best, best_printed,
        grid.error,
    )  # fmt: skip


def _printed_map(
    model: GroupModel, regime: Regime, eta_l: Array, eta_u: Array, eta_t: Sequence[float]
) -> tuple[Array, Array]:
    """(T, L, U) printed gain and (T, L) printed best η_u; nan for a ridge model."""
    gain = np.full((len(eta_t), len(eta_l), len(eta_u)), np.nan)
    best = np.full(gain.shape[:2], np.nan)
    if regime.ridgeless:
        for t, row in np.ndindex(*best.shape):
            at = {"eta_l": float(eta_l[row]), "eta_t": float(eta_t[t])}
            best[t, row] = expansions.best_eta_u_location(model, regime, **at)
            gain[t, row] = [
                expansions.gain_location(model, regime, eta_u=float(u), **at) for u in eta_u
            ]
    return gain, best


def best_eta_u_exact(
    model: GroupModel,
    regime: Regime,
    *,
    eta_l: Array,
    eta_t: Sequence[float],
    rtol: float = 1e-5,
) -> Array:
    """(T, L) η_u in [0, 1/2] of the least exact student risk, equally the largest gain.

    Least point of a grid of 129, refined by the parabola through it and its neighbours (error
    below 1e-4 for the smooth risks here); nan where the risk does not depend on η_u.
    """
    axis = np.linspace(0, 0.5, BEST_GRID)
    risk = risk_map(model, regime, eta_l=eta_l, eta_u=axis, eta_t=eta_t, rtol=rtol).student
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
