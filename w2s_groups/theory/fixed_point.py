"""The two equations behind the exact limits: the fixed point M and the fluctuation V.

Both in the coordinates of moments.py. Numbers of equations: docs/theory.md, section 2.
"""

from __future__ import annotations

import numpy as np

from w2s_groups.theory import moments as mo
from w2s_groups.theory.model import Array, Side
from w2s_groups.theory.regime import Regime

STEP_TOL = 1e-9
MAX_STEPS = 100


def fixed_point(s: mo.SideIntegrals, side: Side, p_side: int, regime: Regime) -> Array:
    """(E, 4) M = (αI + E[c ψψᵀ])⁻¹, c = 1/(1 + scale ψᵀMψ). Source: equations 2.1 and 2.5.

    Newton's method for P = M⁻¹ = αI + E[c ψψᵀ], whose right-hand side is increasing and concave in
    P: from above the steps fall monotonically to the largest solution. Stops once a step is below
    STEP_TOL relative; the error left is of the order of its square.
    """
    scale, alpha = regime.of(side, p_side)
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
    raise regime.not_reached(side, f"{MAX_STEPS} Newton steps")


def fluctuation(s: mo.SideIntegrals, v: Array, scale: float, c2: Array, X: Array) -> Array:
    """(E, T, q, q) solution of V = scale M (X + E[c² ψψᵀ (ψᵀVψ)]) M for symmetric X (E, T, q, q).

    v (E, 4) holds M; c2 (E, C, 5, 3) are the moments of c². The map splits into three independent
    parts: matrices that share the law's symmetry, the block between (1, x) and y, and the traceless
    part of the y block. Source: equations 2.3 and 2.7.
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


def to_psi(rotated: Array, H: Array) -> Array:
    """(..., p, p) matrix in coordinates ψ of one in coordinates (1, x, y), H (p, q)."""
    return np.asarray(H @ rotated @ H.T, dtype=np.float64)
