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

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.theory.limits import test_moments
from w2s_groups.theory.model import GroupModel, Side, check_eta
from w2s_groups.theory.solver import DrawnRows, Rows, predict, solve

Array = NDArray[np.float64]
SIDES: tuple[Side, Side] = ("teacher", "student")


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


@dataclass(frozen=True)
class Case:
    """One of several settings on shared draws: model, size N of the unlabelled set, fractions."""

    model: GroupModel
    N: int
    eta_l: tuple[float, ...]


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
    return simulate_cases(
        [Case(model, N, tuple(eta_l))],
        d_z=d_z,
        n=n,
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


def simulate_cases(
    cases: Sequence[Case],
    *,
    d_z: int,
    n: int,
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
    """What `simulate` gives for each case, on the same draws and in as few solves as they allow.

    InputError also where the cases' models differ in p_w or p_s.
    """
    _check_cases(cases, eta_u, eta_t)
    U = len(eta_u)
    settings = list(dict.fromkeys((case.model, eta) for case in cases for eta in case.eta_l))
    teacher: list[list[Array]] = [[] for _ in cases]
    student: list[list[Array]] = [[] for _ in cases]
    for k in replicates:
        name = f"gaussian/replicate {k}/labelled"
        rows: Rows = DrawnRows(seed, f"{name}/z", n, d_z, memory=memory, device=device)
        noise = torch.from_numpy(stream(seed, f"{name}/epsilon").standard_normal((n, 1)))
        psi_w, y = [], []
        clean: dict[float, Tensor] = {}  # by ‖β*‖: each is a pass over Z in float64
        for model, eta in settings:
            if model.beta_norm not in clean:
                beta = _beta(model, d_z, device)[None, None, None]
                clean[model.beta_norm] = predict(rows, torch.ones(1, n, 1), beta)[0]
            y.append(clean[model.beta_norm] + (model.sigma_y * noise).to(device))
            psi_w.append(_psi(model, "teacher", n, eta, seed, f"{name}/xi"))
        theta = solve(rows, torch.stack(psi_w), torch.stack(y), alpha_w, tol=tol).theta[:, 0]
        del rows  # at most one Z at a time
        fitted = dict(zip(settings, theta, strict=True))

        name = f"gaussian/replicate {k}/unlabelled"
        for size in sorted({case.N for case in cases}):
            rows = DrawnRows(seed, f"{name}/z", size, d_z, memory=memory, device=device)
            of_size = [i for i, case in enumerate(cases) if size == case.N]
            for L in sorted({len(cases[i].eta_l) for i in of_size}):
                batch = [i for i in of_size if len(cases[i].eta_l) == L]
                psi = {
                    side: torch.stack(
                        [
                            _psi(cases[i].model, side, size, eta, seed, f"{name}/xi")
                            for i in batch
                            for eta in eta_u
                        ]
                    )
                    for side in SIDES
                }
                teachers = [
                    torch.stack([fitted[cases[i].model, eta] for eta in cases[i].eta_l])
                    for i in batch
                ]
                y_u = predict(rows, psi["teacher"], torch.stack(teachers).repeat_interleave(U, 0))
                theta = solve(rows, psi["student"], y_u, alpha_s, tol=tol).theta
                theta = theta.view(len(batch), U, L, -1, d_z).transpose(1, 2)
                for of_teacher, of_student, i in zip(teachers, theta, batch, strict=True):
                    model = cases[i].model
                    beta = _beta(model, d_z, device)
                    moments = test_moments(model, "teacher", eta_t)
                    teacher[i].append(excess_risk(of_teacher, beta, moments))
                    moments = test_moments(model, "student", eta_t)
                    student[i].append(excess_risk(of_student, beta, moments))
            del rows
    return [Risks(np.stack(w), np.stack(s)) for w, s in zip(teacher, student, strict=True)]


def _check_cases(cases: Sequence[Case], eta_u: Sequence[float], eta_t: Sequence[float]) -> None:
    etas: list[tuple[str, Sequence[float]]] = [("eta_l", case.eta_l) for case in cases] + [
        ("eta_u", eta_u),
        ("eta_t", eta_t),
    ]
    for field, values in etas:
        if not len(values):
            raise InputError(f"{field}=[] is empty: give at least one value")
        for eta in values:
            check_eta(field, eta)
    for field in ("p_w", "p_s"):
        sizes = sorted({getattr(case.model, field) for case in cases})
        if len(sizes) > 1:
            raise InputError(
                f"{field}={sizes} differ: models on shared draws need one {field}; "
                "simulate them one by one"
            )


def _beta(model: GroupModel, d_z: int, device: str) -> Tensor:
    return torch.from_numpy(model.beta_star(d_z)).to(device)


def _psi(model: GroupModel, side: Side, n: int, eta: float, seed: int, name: str) -> Tensor:
    """ψ (n, p_side), from the same draw of ξ at every eta and on both sides."""
    xi, _ = model.draw_xi(n, eta, stream(seed, name))
    return torch.from_numpy(model.psi(side, xi))
