"""Monte Carlo of teacher and student on the group model: excess risks from A_t, no test sample.

Within a replicate every eta shares z, the standardised ξ noise, the group variables and the label
noise (common random numbers), so curves over eta are paired; replicates are independent.
Source: LDL25 Section 3; docs/theory.md, sections 1 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student_t
from torch import Tensor

from w2s_groups.errors import InputError
from w2s_groups.gaussian.limits import test_moments
from w2s_groups.gaussian.model import GroupModel, Side, check_eta
from w2s_groups.gaussian.solver import DrawnRows, Rows, predict, solve
from w2s_groups.seeds import stream

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Risks:
    """Excess risks, units of y squared. teacher: (R, L, T); student: (R, L, U, T).

    R replicates, L values of eta_l, U of eta_u, T of eta_t.
    """

    teacher: Array
    student: Array

    @property
    def gain(self) -> Array:
        """(R, L, U, T) ER_t(f_w) − ER_t(f_s), paired within a replicate; positive is better."""
        return self.teacher[:, :, None, :] - self.student


def mean_interval(values: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Mean over axis 0 (independent replicates) and half-width of its Student-t interval."""
    count = len(values)
    if count < 2:
        raise InputError(f"replicates={count} give no interval: take at least 2")
    standard_error = values.std(axis=0, ddof=1) / np.sqrt(count)
    return values.mean(axis=0), student_t.ppf(0.5 + level / 2, count - 1) * standard_error


def excess_risk(theta: Tensor, beta: Tensor, moments: Array) -> Array:
    """(..., T) tr(A_t E Eᵀ), E = Θ − e₁β*ᵀ. theta: (..., p, d_z); beta: (d_z,); moments: (T, p, p).

    Source: docs/theory.md, section 1.
    """
    error = theta.clone()
    error[..., 0, :] -= beta
    spread = (error @ error.mT).cpu().numpy()  # (..., p, p)
    risks: Array = np.einsum("tpq,...pq->...t", moments, spread)
    return risks


def simulate(
    model: GroupModel,
    *,
    d_z: int,
    n: int,
    N: int,
    eta_l: Sequence[float],
    eta_u: Sequence[float],
    eta_t: Sequence[float],
    alpha_w: float = 0.0,
    alpha_s: float = 0.0,
    seed: int,
    replicates: Sequence[int],
    tol: float = 1e-4,
    memory: float = 2**31,
    device: str = "cpu",
) -> Risks:
    """Risks of ridge teachers on n labels and ridge students on N pseudolabels, per replicate.

    replicates: their numbers; each draws from streams of its own, so a run can be cut into parts.
    tol: relative error of every Θ, which moves a risk by at most 2 tol ‖Θ‖/sqrt(risk) of itself:
    far below the Monte Carlo error. memory: bytes of Z to hold, beyond which Z is drawn again at
    each pass. InputError for etas outside [0, 1], sizes < 1, or a problem the solver cannot do.
    """
    return simulate_each(
        [model],
        d_z=d_z,
        n=n,
        N=N,
        eta_l=eta_l,
        eta_u=eta_u,
        eta_t=eta_t,
        alpha_w=alpha_w,
        alpha_s=alpha_s,
        seed=seed,
        replicates=replicates,
        tol=tol,
        memory=memory,
        device=device,
    )[0]


def simulate_each(
    models: Sequence[GroupModel],
    *,
    d_z: int,
    n: int,
    N: int,
    eta_l: Sequence[float],
    eta_u: Sequence[float],
    eta_t: Sequence[float],
    alpha_w: float,
    alpha_s: float,
    seed: int,
    replicates: Sequence[int],
    tol: float,
    memory: float,
    device: str,
) -> list[Risks]:
    """`simulate` of several models on the same draws: what one call per model would give."""
    for field, etas in (("eta_l", eta_l), ("eta_u", eta_u), ("eta_t", eta_t)):
        if not len(etas):
            raise InputError(f"{field}=[] is empty: give at least one value")
        for eta in etas:
            check_eta(field, eta)
    teacher: list[list[Array]] = [[] for _ in models]
    student: list[list[Array]] = [[] for _ in models]
    for k in replicates:
        name = f"gaussian/replicate {k}/labelled"
        rows: Rows = DrawnRows(seed, f"{name}/z", n, d_z, memory=memory, device=device)
        noise = torch.from_numpy(stream(seed, f"{name}/epsilon").standard_normal((1, n, 1)))
        thetas = []
        for m, model in enumerate(models):
            beta = torch.from_numpy(model.beta_star(d_z)).to(device)
            y = predict(rows, torch.ones(1, n, 1), beta.view(1, 1, 1, d_z))
            y = (y + model.sigma_y * noise.to(device)).expand(len(eta_l), n, 1)
            (psi_w,) = _psi(model, ("teacher",), n, eta_l, seed, f"{name}/xi")
            thetas.append(solve(rows, psi_w, y, alpha_w, tol=tol).theta[:, 0])
            teacher[m].append(excess_risk(thetas[m], beta, test_moments(model, "teacher", eta_t)))
        del rows  # at most one Z at a time

        name = f"gaussian/replicate {k}/unlabelled"
        rows = DrawnRows(seed, f"{name}/z", N, d_z, memory=memory, device=device)
        for m, model in enumerate(models):
            beta = torch.from_numpy(model.beta_star(d_z)).to(device)
            psi_w, psi_s = _psi(model, ("teacher", "student"), N, eta_u, seed, f"{name}/xi")
            y = predict(rows, psi_w, thetas[m].expand(len(eta_u), *thetas[m].shape))
            theta = solve(rows, psi_s, y, alpha_s, tol=tol).theta.transpose(0, 1)
            student[m].append(excess_risk(theta, beta, test_moments(model, "student", eta_t)))
        del rows
    return [Risks(np.stack(w), np.stack(s)) for w, s in zip(teacher, student, strict=True)]


def _psi(
    model: GroupModel, sides: tuple[Side, ...], n: int, etas: Sequence[float], seed: int, name: str
) -> list[Tensor]:
    """ψ (len(etas), n, p_side) of each side, from the same draw of ξ at every eta."""
    xi = [model.draw_xi(n, eta, stream(seed, name))[0] for eta in etas]
    return [torch.from_numpy(np.stack([model.psi(side, x) for x in xi])) for side in sides]
