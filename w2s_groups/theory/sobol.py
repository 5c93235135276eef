"""The same limits by brute force: scrambled Sobol points over (Wᵀξ, Sᵀξ), no symmetry assumed.

An independent route to limits.exact_limits, straight from docs/theory.md 2.1-2.8: its scatter over
scramblings is an error estimate that shares no code with the quadrature, at some 1e-4 relative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2s_groups.core.lazy import special, stats
from w2s_groups.theory.model import Array, GroupModel, Side, check_eta
from w2s_groups.theory.regime import Regime

MAX_SWEEPS = 10_000


def sobol_risks(
    model: GroupModel,
    regime: Regime,
    *,
    eta_l: float,
    eta_u: float,
    eta_t: Sequence[float],
    rng: np.random.Generator,
    log2_nodes: int = 14,
    scramblings: int = 8,
) -> Array:
    """(scramblings, 2, T) risks of teacher and student, one row per independent scrambling.

    Their standard deviation / sqrt(scramblings) is the standard error of their mean. InputError
    where plain iteration finds no fixed point. Source: docs/theory.md, section 2.
    """
    A_w, A_s = (model.test_moments(side, eta_t) for side in ("teacher", "student"))
    b2, e_w, e_s = model.beta_norm**2, np.eye(model.p_w)[0], np.eye(model.p_s)[0]
    out = np.empty((scramblings, 2, len(A_w)))
    for row in range(scramblings):
        psi_w, _, weight = _nodes(model, check_eta("eta_l", eta_l), log2_nodes, rng)
        M_w, c = _fixed_point("teacher", psi_w, weight, regime)
        b_w = e_w - regime.alpha_w * M_w[:, 0]
        noise = model.sigma_y**2 + b2 * (1 - psi_w @ b_w) ** 2
        V_w = _noise(M_w, psi_w, weight * c**2, regime.gamma_z, noise)
        K = V_w + b2 * np.outer(b_w, b_w)

        psi_w, psi_s, weight = _nodes(model, check_eta("eta_u", eta_u), log2_nodes, rng)
        M_s, c = _fixed_point("student", psi_s, weight, regime)
        B = M_s @ (psi_s * (weight * c)[:, None]).T @ psi_w
        residual = psi_w - psi_s @ B
        r = np.einsum("ni,ij,nj->n", residual, K, residual)
        V_s = _noise(M_s, psi_s, weight * c**2, regime.nu_z, r)
        error_w, error_s = b_w - e_w, B @ b_w - e_s
        out[row, 0] = np.einsum("tij,ij->t", A_w, V_w + b2 * np.outer(error_w, error_w))
        out[row, 1] = np.einsum(
            "tij,ij->t", A_s, B @ V_w @ B.T + V_s + b2 * np.outer(error_s, error_s)
        )
    return out


def _nodes(
    model: GroupModel, eta: float, log2_nodes: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """ψ_w (n, p_w), ψ_s (n, p_s), weights (n,): one scrambled net on the span of W and S."""
    spanned, size, _ = np.linalg.svd(np.hstack([model.W, model.S]), full_matrices=False)
    basis = spanned[:, size > 1e-9 * max(1.0, size.max(initial=0.0))]
    if basis.shape[1] == 0:
        one = np.ones((1, 1))
        return one, one, np.ones(1)
    net = stats.qmc.Sobol(basis.shape[1], rng=rng).random_base2(log2_nodes)
    xi = model.sigma_xi * special.ndtri(np.clip(net, 1e-16, 1 - 1e-16)) @ basis.T
    if model.law == "location":
        xi, weight = xi + eta * model.mu_xi, np.full(len(xi), 1 / len(xi))
    else:
        weight = np.repeat([1 - eta, eta], len(xi)) / len(xi)
        xi = np.vstack([xi, xi + model.mu_xi])
    return model.psi("teacher", xi), model.psi("student", xi), weight


def _fixed_point(side: Side, psi: Array, weight: Array, regime: Regime) -> tuple[Array, Array]:
    """M (p, p) and c (n,) by plain iteration. Source: docs/theory.md 2.1."""
    p = psi.shape[1]
    scale, alpha = regime.of(side, p)
    c: Array = np.ones(len(psi))
    M: Array = np.zeros((p, p))
    for _ in range(MAX_SWEEPS):
        precision = alpha * np.eye(p) + (psi * (weight * c)[:, None]).T @ psi
        moved = np.linalg.inv(precision).astype(np.float64)
        if np.abs(moved - M).max() <= 1e-11 * np.abs(moved).max():
            return moved, c
        M = moved
        c = 1 / (1 + scale * np.einsum("ni,ij,nj->n", psi, M, psi))
    raise regime.not_reached(side, f"{MAX_SWEEPS} plain iterations")


def _noise(M: Array, psi: Array, weight: Array, scale: float, source: Array) -> Array:
    """(p, p) V = scale M E[c² ψψᵀ (source + ψᵀVψ)] M as one p² × p² system; weight has c²."""
    p = psi.shape[1]
    pairs = (psi[:, :, None] * psi[:, None, :]).reshape(len(psi), p * p)
    sandwich = scale * np.kron(M, M)
    system = np.eye(p * p) - sandwich @ (pairs * weight[:, None]).T @ pairs
    V = np.linalg.solve(system, sandwich @ pairs.T @ (weight * source))
    return np.asarray(V.reshape(p, p), dtype=np.float64)
