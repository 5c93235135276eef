"""The W2S gain at one η_u, the η_u where it is zero and the best η_u: exact and as printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from w2s_groups.core.lazy import optimize
from w2s_groups.theory import expansions
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.model import Array, GroupModel
from w2s_groups.theory.phase import best_eta_u_exact, risk_map
from w2s_groups.theory.regime import Regime

ZERO_GRID = 101
ZERO_TOL = 1e-7  # in η_u
RTOL = 1e-7


@dataclass(frozen=True)
class Reading:
    """One theory's answers at one eta_t, in units of y²; nan where it has none.

    zeros: η_u in [0, 1/2] where the gain changes sign. best_eta_u: nan where η_u makes no
    difference.
    """

    teacher: float
    student: float
    zeros: tuple[float, ...]
    best_eta_u: float

    @property
    def gain(self) -> float:
        """Risk of the teacher less that of the student: positive where W2S happens."""
        return self.teacher - self.student


@dataclass(frozen=True)
class MixAnswer:
    """Answers at eta_t: exact; printed by LDL25 (location law, for a model of either law).

    first_order_gain: the model's own law to first order; nan for ridge, as printed is.
    best_gain: exact gain at the exact best η_u.
    """

    eta_t: float
    exact: Reading
    printed: Reading
    first_order_gain: float
    best_gain: float


@dataclass(frozen=True)
class Answer:
    """One MixAnswer per eta_t, and the relative error of the exact risks (quadrature estimate)."""

    mixes: tuple[MixAnswer, ...]
    error: float


def answer(
    model: GroupModel,
    regime: Regime,
    *,
    eta_l: float,
    eta_u: float,
    eta_t: Sequence[float] = (0.0, 0.5, 1.0),
) -> Answer:
    """Gain at eta_u, its zeros in η_u and the best η_u, at every eta_t. Errors as exact_limits."""
    limits = exact_limits(model, regime, eta_l=eta_l, eta_u=eta_u, rtol=RTOL)
    labelled, nan = np.array([float(eta_l)]), float("nan")

    def exact_curve(axis: Array) -> Array:
        """(T, U) exact gain over the teacher's risk."""
        grid = risk_map(model, regime, eta_l=labelled, eta_u=axis, eta_t=eta_t, rtol=RTOL)
        return grid.gain[:, 0] / grid.teacher

    best = best_eta_u_exact(model, regime, eta_l=labelled, eta_t=eta_t)[:, 0]
    mixes = []
    for t, test in enumerate(float(e) for e in eta_t):
        exact = Reading(
            float(limits.teacher_risk(test)),
            float(limits.student_risk(test)),
            _zeros(lambda axis, t=t: exact_curve(axis)[t]),  # type: ignore[misc]
            float(best[t]),
        )
        at = eta_u if np.isnan(best[t]) else float(best[t])
        best_gain = float(exact_curve(np.array([at]))[t, 0]) * exact.teacher
        printed, first = Reading(nan, nan, (), nan), nan
        if regime.ridgeless:
            printed = _printed(model, regime, eta_l, eta_u, test)
            first = _first_order_gain(model, regime, eta_l, eta_u, test)
        mixes.append(MixAnswer(test, exact, printed, first, best_gain))
    return Answer(tuple(mixes), limits.error)


def text(result: Answer) -> str:
    """The answer as a table for a terminal, ASCII."""
    head = (
        f"{'eta_t':>6} {'':12} {'teacher':>10} {'student':>10} {'gain':>10}  "
        f"{'gain = 0 at eta_u':18} {'best eta_u':>10}"
    )
    lines = [head, "-" * len(head)]
    for mix in result.mixes:
        for name, reading in (("exact", mix.exact), ("printed", mix.printed)):
            zeros = ", ".join(f"{zero:.4f}" for zero in reading.zeros) or "-"
            gain = _shown(reading.gain, reading.teacher)
            lines.append(
                f"{mix.eta_t:6.3g} {name:12} {reading.teacher:10.5g} {reading.student:10.5g} "
                f"{gain:10.4g}  {zeros:18} {reading.best_eta_u:10.4f}"
            )
        risk = mix.exact.teacher
        first = _shown(mix.first_order_gain, risk)
        lines.append(f"{'':6} {'first order':12} {'':10} {'':10} {first:10.4g}")
        best = _shown(mix.best_gain, risk)
        lines.append(f"{'':6} exact gain at the exact best eta_u: {best:.4g}")
    lines += [
        "",
        "gain = ER(teacher) - ER(student) in units of y^2: weak-to-strong happens where it is > 0.",
        f"exact: limits for d_z, n, N -> infinity, this project's own; relative error of the risks "
        f"{max(result.error, 1e-15):.0e}.",
        "printed: LDL25's first order in gamma_z and nu_z, location law, least squares.",
        "first order: the same under the chosen law. nan: not defined, or eta_u is immaterial.",
    ]
    return "\n".join(lines)


def _shown(gain: float, risk: float) -> float:
    """The gain, or 0 where only rounding is left of it."""
    return 0.0 if abs(gain) <= 1e-12 * abs(risk) else gain


def _printed(
    model: GroupModel, regime: Regime, eta_l: float, eta_u: float, eta_t: float
) -> Reading:
    teacher = expansions.teacher_location(model, regime, eta_l=eta_l, eta_t=eta_t)

    def student(at: float) -> float:
        return expansions.student_location(model, regime, eta_l=eta_l, eta_u=at, eta_t=eta_t)

    return Reading(
        teacher,
        student(eta_u),
        _zeros(lambda axis: np.array([1 - student(float(at)) / teacher for at in axis])),
        expansions.best_eta_u_location(model, regime, eta_l=eta_l, eta_t=eta_t),
    )


def _first_order_gain(
    model: GroupModel, regime: Regime, eta_l: float, eta_u: float, eta_t: float
) -> float:
    teacher = expansions.teacher_first_order(model, regime, eta_l=eta_l, eta_t=eta_t)
    return teacher - expansions.student_first_order(
        model, regime, eta_l=eta_l, eta_u=eta_u, eta_t=eta_t
    )


def _zeros(gain: Callable[[Array], Array]) -> tuple[float, ...]:
    """η_u in [0, 1/2] where gain, relative to the teacher's risk, changes sign.

    None where it vanishes throughout, as it does when student and teacher see the same features.
    """
    axis = np.linspace(0, 0.5, ZERO_GRID)
    values = gain(axis)
    if not np.max(np.abs(values)) > 10 * RTOL:
        return ()
    at = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0)
    zeros = [
        optimize.brentq(
            lambda x: float(gain(np.array([x]))[0]), axis[i], axis[i + 1], xtol=ZERO_TOL
        )
        for i in at
    ]
    zeros += [float(axis[i]) for i in np.flatnonzero(values == 0)]
    return tuple(sorted(float(zero) for zero in zeros))
