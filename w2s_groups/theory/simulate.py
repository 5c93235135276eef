"""Monte Carlo of teacher and student on the group model: excess risks from A_t, no test sample.

Within a replicate every eta shares z, the standardised ξ noise, the group variables and the label
noise (common random numbers), so curves over eta are paired; replicates are independent.
Source: LDL25 Section 3; docs/theory.md, sections 1 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import torch
from w2s_groups.core.seeds import stream
from w2s_groups.theory.model import Array, GroupModel, Side, check_eta
from w2s_groups.theory.rows import DrawnRows, Rows
from w2s_groups.theory.solver import product_ridge, product_values

if TYPE_CHECKING:
    from torch import Tensor

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


def excess_risk(theta: Tensor, beta: Tensor, moments: Array) -> Array:
    """(..., T) tr(A_t E Eᵀ), E = Θ − e₁β*ᵀ. theta: (..., p, d_z); beta: (d_z,); moments: (T, p, p).

    Source: docs/theory.md, section 1.
    """
    error = theta.clone()
    error[..., 0, :] -= beta
    square = (error @ error.mT).cpu().numpy()  # (..., p, p)
    risks: Array = np.einsum("tpq,...pq->...t", moments, square)
    return risks


@dataclass(frozen=True)
class Simulation:
    """Sizes and fractions that all cases of a simulation share, and how it is computed.

    tol: relative error of every Θ, which moves a risk by at most 2 tol ‖Θ‖/sqrt(risk) of itself:
    far below the Monte Carlo error. memory: bytes of Z to hold, beyond which Z is drawn again at
    each pass.
    """

    d_z: int
    n: int
    eta_u: tuple[float, ...]
    eta_t: tuple[float, ...]
    seed: int
    alpha_w: float = 0.0
    alpha_s: float = 0.0
    tol: float = 1e-4
    memory: float = 2**31
    device: str = "cpu"

    def rows(self, name: str, n: int) -> Rows:
        """Z (n, d_z) of the streams "<name>/z"."""
        return DrawnRows(
            self.seed, f"{name}/z", n, self.d_z, memory=self.memory, device=self.device
        )

    def psi(self, model: GroupModel, side: Side, n: int, eta: float, name: str) -> Tensor:
        """ψ (n, p_side), from the same draw of ξ at every eta and on both sides."""
        xi, _ = model.draw_xi(n, eta, stream(self.seed, f"{name}/xi"))
        return torch.from_numpy(model.psi(side, xi))

    def beta(self, model: GroupModel) -> Tensor:
        """(d_z,) β* of a model, on the device."""
        return torch.from_numpy(model.beta_star(self.d_z)).to(self.device)


Teachers = dict[tuple[GroupModel, float], "Tensor"]


def simulate(cases: Sequence[Case], run: Simulation, replicates: Sequence[int]) -> list[Risks]:
    """Risks of ridge teachers on n labels and ridge students on N pseudolabels, for each case.

    Cases share draws, and as few solves as that allows. replicates: their numbers; each draws from
    streams of its own, so a run can be cut into parts. InputError for fractions outside [0, 1],
    sizes < 1, cases whose models differ in p_w or p_s, or a problem the solver cannot do.
    """
    _check_cases(cases, run)
    parts: list[list[tuple[Array, Array]]] = [[] for _ in cases]
    for k in replicates:
        teachers = _teachers(cases, run, f"gaussian/replicate {k}/labelled")
        for size in sorted({case.N for case in cases}):
            of_size = [i for i, case in enumerate(cases) if size == case.N]
            name = f"gaussian/replicate {k}/unlabelled"
            risks = _of_size([cases[i] for i in of_size], teachers, run, name)
            for i, of_case in zip(of_size, risks, strict=True):
                parts[i].append(of_case)
    return [Risks(*(np.stack(side) for side in zip(*part, strict=True))) for part in parts]


def _teachers(cases: Sequence[Case], run: Simulation, name: str) -> Teachers:
    """Θ (p_w, d_z) of the teacher of every model and eta_l, from one draw of n labelled samples."""
    settings = list(dict.fromkeys((case.model, eta) for case in cases for eta in case.eta_l))
    rows, n = run.rows(name, run.n), run.n
    noise = torch.from_numpy(stream(run.seed, f"{name}/epsilon").standard_normal((n, 1)))
    psi, y = [], []
    clean: dict[float, Tensor] = {}  # by ‖β*‖: each is a pass over Z in float64
    for model, eta in settings:
        if model.beta_norm not in clean:
            beta = run.beta(model)[None, None, None]
            clean[model.beta_norm] = product_values(rows, torch.ones(1, n, 1), beta)[0]
        y.append(clean[model.beta_norm] + (model.sigma_y * noise).to(run.device))
        psi.append(run.psi(model, "teacher", n, eta, name))
    solution = product_ridge(rows, torch.stack(psi), torch.stack(y), run.alpha_w, tol=run.tol)
    return dict(zip(settings, solution.theta[:, 0], strict=True))


def _of_size(
    cases: Sequence[Case], teachers: Teachers, run: Simulation, name: str
) -> list[tuple[Array, Array]]:
    """Risks (L, T) of the teachers and (L, U, T) of the students of cases with the same N."""
    size = cases[0].N
    rows = run.rows(name, size)  # freed on return: at most one Z at a time
    risks: dict[int, tuple[Array, Array]] = {}
    for L in sorted({len(case.eta_l) for case in cases}):
        batch = [i for i, case in enumerate(cases) if len(case.eta_l) == L]
        taught = [torch.stack([teachers[cases[i].model, e] for e in cases[i].eta_l]) for i in batch]
        psi_w, psi_s = (
            torch.stack(
                [run.psi(cases[i].model, side, size, e, name) for i in batch for e in run.eta_u]
            )
            for side in SIDES
        )
        y = product_values(rows, psi_w, torch.stack(taught).repeat_interleave(len(run.eta_u), 0))
        theta = product_ridge(rows, psi_s, y, run.alpha_s, tol=run.tol).theta
        theta = theta.view(len(batch), len(run.eta_u), L, -1, run.d_z).transpose(1, 2)
        for i, teacher, student in zip(batch, taught, theta, strict=True):
            model = cases[i].model
            beta = run.beta(model)
            risks[i] = (
                excess_risk(teacher, beta, model.test_moments("teacher", run.eta_t)),
                excess_risk(student, beta, model.test_moments("student", run.eta_t)),
            )
    return [risks[i] for i in range(len(cases))]


def _check_cases(cases: Sequence[Case], run: Simulation) -> None:
    etas = [("eta_l", case.eta_l) for case in cases]
    for field, values in (*etas, ("eta_u", run.eta_u), ("eta_t", run.eta_t)):
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
