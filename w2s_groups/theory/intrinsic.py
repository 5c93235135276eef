"""Weak-to-strong risk from intrinsic dimensions: as DLLL25 prints it, and exact.

Ridgeless regression on two feature spaces: the teacher sees the d_w directions W of x ~ N(0, I),
the student the d_s directions S; y = xᵀβ + ε with Var ε = σ². The printed forms count label noise
only. The exact ones, for Gaussian features, add what they leave out: a model that misses part of
the target sees that part as noise (Gaussian coordinates it cannot see are independent of those it
can), so σ² becomes σ² + ρ, and the student's finite N enters as 1/(N − d_s − 1). They are derived
here, not in the paper:

teacher  θ_w = P_wβ + δ,  E δδᵀ = τ²/(n − d_w − 1) P_w,  τ² = σ² + ρ_w
student  θ_s = P_sθ_w + noise of variance ‖(I − P_s)θ_w‖²/(N − d_s − 1) per direction of S.

Sources: DLLL25 = arXiv 2502.05075, Theorem on Var(f_w), Var(f_s); theory.md section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from w2s_groups.core.errors import InputError
from w2s_groups.theory.model import Array

MODELS = ("teacher", "w2s", "baseline", "ceiling")


@dataclass(frozen=True)
class Pair:
    """The numbers of a teacher, a student and a target β that their risks depend on.

    d_w, d_s: ranks. d_sw: tr(P_wP_s), in [0, min(d_w, d_s)].
    rho_w, rho_s: ‖(I − P_w)β‖², ‖(I − P_s)β‖², target energy outside each span (DLLL25's ρ).
    inherited: ‖P_s(I − P_w)β‖², what the student could see but its teacher cannot pass on.
    leaked: ‖(I − P_s)P_wβ‖², what the teacher passes on and the student can only take as noise.
    Energies in units of y²; InputError outside these ranges.
    """

    d_w: int
    d_s: int
    d_sw: float
    rho_w: float
    rho_s: float
    inherited: float
    leaked: float

    def __post_init__(self) -> None:
        if not (self.d_w >= 1 and self.d_s >= 1):
            raise InputError(
                f"d_w={self.d_w}, d_s={self.d_s}: ranks are at least 1; give both models a feature"
            )
        if not 0 <= self.d_sw <= min(self.d_w, self.d_s):
            raise InputError(
                f"d_sw={self.d_sw} is outside [0, {min(self.d_w, self.d_s)}]: an overlap cannot "
                "exceed the smaller of d_w and d_s; lower it"
            )
        for field in ("rho_w", "rho_s", "inherited", "leaked"):
            if not 0 <= getattr(self, field) < np.inf:
                raise InputError(
                    f"{field}={getattr(self, field)} must be a finite energy >= 0; "
                    "pass squared norms"
                )


def _above(field: str, value: ArrayLike, bound: int, bound_name: str) -> Array:
    array = np.asarray(value, dtype=np.float64)
    bad = ~(array > bound)
    if bad.any():
        raise InputError(
            f"{field}={array[bad].flat[0]:g} with alpha=0 needs {field} > {bound_name} = {bound}, "
            f"below which the mean risk is not finite; raise {field} or use alpha > 0"
        )
    return array


def _noise(sigma2: ArrayLike) -> Array:
    array = np.asarray(sigma2, dtype=np.float64)
    if not ((array >= 0) & np.isfinite(array)).all():
        raise InputError(
            "sigma2 must be a finite variance >= 0; pass the square of the noise scale"
        )
    return array


def teacher_variance(n: ArrayLike, sigma2: ArrayLike, d_w: int) -> Array:
    """Var(f_w) = σ²d_w/(n − d_w − 1), printed. n: labelled samples > d_w + 1, any shape."""
    return _noise(sigma2) * d_w / (_above("n", n, d_w + 1, "d_w + 1") - d_w - 1)


def student_variance(
    n: ArrayLike, N: ArrayLike, sigma2: ArrayLike, d_w: int, d_s: int, d_sw: float
) -> Array:
    """Var(f_s) = σ²/(n − d_w − 1) · (d_sw + (d_s/N)(d_w − d_sw)), printed. n, N broadcast."""
    share = d_sw + d_s / _above("N", N, 0, "0") * (d_w - d_sw)
    return teacher_variance(n, sigma2, d_w) / d_w * share


def printed_risks(pair: Pair, n: ArrayLike, N: ArrayLike, sigma2: ArrayLike) -> dict[str, Array]:
    """Excess risk of each of MODELS by the printed forms; n, N, sigma2 broadcast.

    The teacher's bias is ρ_w; the student's is bounded by ρ_w + ρ_s and shown at that bound.
    baseline: strong model on the n labels, σ²d_s/n + ρ_s; ceiling: on n + N true labels.
    """
    n_, N_, noise = _above("n", n, 0, "0"), _above("N", N, 0, "0"), _noise(sigma2)
    return {
        "teacher": teacher_variance(n_, noise, pair.d_w) + pair.rho_w,
        "w2s": student_variance(n_, N_, noise, pair.d_w, pair.d_s, pair.d_sw)
        + pair.rho_w
        + pair.rho_s,
        "baseline": noise * pair.d_s / n_ + pair.rho_s,
        "ceiling": noise * pair.d_s / (n_ + N_) + pair.rho_s,
    }


def exact_risks(pair: Pair, n: ArrayLike, N: ArrayLike, sigma2: ArrayLike) -> dict[str, Array]:
    """Mean excess risk of each of MODELS, exact at finite n and N for Gaussian features."""
    n_ = _above("n", n, max(pair.d_w, pair.d_s) + 1, "max(d_w, d_s) + 1")
    N_, noise = _above("N", N, pair.d_s + 1, "d_s + 1"), _noise(sigma2)
    per_direction = (noise + pair.rho_w) / (n_ - pair.d_w - 1)
    mimicry = pair.d_s / (N_ - pair.d_s - 1)

    def strong(samples: Array) -> Array:
        return (noise + pair.rho_s) * pair.d_s / (samples - pair.d_s - 1) + pair.rho_s

    return {
        "teacher": per_direction * pair.d_w + pair.rho_w,
        "w2s": per_direction * (pair.d_sw + mimicry * (pair.d_w - pair.d_sw))
        + pair.rho_s
        + pair.inherited
        + mimicry * pair.leaked,
        "baseline": strong(n_),
        "ceiling": strong(n_ + N_),
    }


def pgr(teacher: ArrayLike, student: ArrayLike, ceiling: ArrayLike) -> Array:
    """(ER_w − ER_w2s)/(ER_w − ER_ceiling); NaN where teacher and ceiling are equal."""
    w, s, c = (np.asarray(v, dtype=np.float64) for v in (teacher, student, ceiling))
    return np.divide(w - s, np.where(w == c, np.nan, w - c))


def opr(baseline: ArrayLike, student: ArrayLike) -> Array:
    """ER_baseline/ER_w2s: above 1 where weak labels beat the n true ones; NaN at zero risk."""
    b, s = np.asarray(baseline, dtype=np.float64), np.asarray(student, dtype=np.float64)
    return np.divide(b, np.where(s == 0, np.nan, s))
