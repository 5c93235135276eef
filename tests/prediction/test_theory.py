"""Features with the moments of the z⊗ξ model give the exact limits of the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from w2s_groups.prediction import population
from w2s_groups.prediction.population import GroupedFeatures
from w2s_groups.prediction.ridge_covariance import residual_covariance, residual_variance
from w2s_groups.prediction.ridge_mean import mean_response, sampling_design
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.model import GroupModel
from w2s_groups.theory.regime import Regime

NODES = 24
ALPHA_W, ALPHA_S = 0.05, 0.1
GAMMA, NU = 0.4, 0.2
ETA_L, ETA_U = 0.1, 0.4


def _model() -> GroupModel:
    # One group feature: its integrals are Gauss-Hermite sums.
    return GroupModel.from_cosines([1.0], p_w=2, mu_xi=[1.5], sigma_xi=0.7, sigma_y=0.6)


def _rows(
    model: GroupModel, d_z: int
) -> tuple[GroupedFeatures, GroupedFeatures, torch.Tensor, np.ndarray]:
    """A group for each node of ξ, whose rows ±√d_z e_j ⊗ ψ have the moments of z ⊗ ψ exactly.

    Every row comes with both signs of the label's noise. Returns features of teacher and
    student, targets y (N, 1) and weight[g, q], the nodes' shares of either group.
    """
    h, weight = np.polynomial.hermite_e.hermegauss(NODES)
    weight = weight / weight.sum()
    xi = np.concatenate([model.sigma_xi * h, model.sigma_xi * h + model.mu_xi[0]])
    beta = model.beta_star(d_z)
    signs = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])
    z = np.concatenate([sign * np.sqrt(d_z) * np.eye(d_z) for sign, _ in signs])
    y = np.concatenate([sign * np.sqrt(d_z) * beta + e * model.sigma_y for sign, e in signs])
    codes = torch.as_tensor(np.repeat(np.arange(xi.size), len(z)))
    endless = torch.full((xi.size,), torch.inf, dtype=torch.float64)
    names = tuple(map(str, range(xi.size)))
    sides = []
    for side in ("teacher", "student"):
        psi = model.psi(side, xi[:, None])
        x = np.concatenate([np.kron(row, z).reshape(len(z), -1) for row in psi])
        rows = torch.as_tensor(np.column_stack([x, np.ones(len(x))]))
        sides.append(GroupedFeatures(rows, codes, endless, names))
    targets = torch.as_tensor(np.tile(y, xi.size))[:, None]
    nothing = np.zeros(NODES)
    shares = np.stack([np.append(weight, nothing), np.append(nothing, weight)])
    return sides[0], sides[1], targets, shares


def _risks(d_z: int) -> np.ndarray:
    """(2, 2) excess risks of teacher and student in majority and minority."""
    model = _model()
    teacher, student, targets, shares = _rows(model, d_z)
    clean = targets - torch.as_tensor(
        np.tile(np.repeat([1, -1, 1, -1], d_z) * model.sigma_y, 2 * NODES)
    ).reshape(-1, 1)

    def counts(eta: float, n: float) -> torch.Tensor:
        return torch.as_tensor(n * ((1 - eta) * shares[0] + eta * shares[1]))

    w = mean_response(teacher, sampling_design(teacher, counts(ETA_L, d_z / GAMMA)), ALPHA_W)
    s_w = residual_covariance(w)
    weighted = teacher.x.T @ (w.w[:, None] * targets)
    residual = targets - teacher.x @ w.Q @ weighted
    variance = residual_variance(s_w, residual.float()[:, None, None])[:, 0, 0]
    square = residual**2 + variance
    teacher_risk = (teacher.group_weights @ square)[:, 0] - model.sigma_y**2

    # The teacher's mean and, two samples an eigenvector, exactly its covariance.
    middle = teacher.x.T @ (s_w.amplitude[:, None] ** 2 * square * teacher.x)
    for weights in teacher.group_weights:
        common = teacher.x.T @ ((weights > 0) * s_w.amplitude * residual[:, 0])
        middle -= torch.outer(common, common) / (weights > 0).sum()
    values, vectors = torch.linalg.eigh(w.Q @ middle @ w.Q)
    root = (vectors * values.clamp(min=0).sqrt()) * len(values) ** 0.5
    heads = (w.Q @ weighted) + torch.cat([root, -root], dim=1)

    u = mean_response(student, sampling_design(student, counts(ETA_U, d_z / NU)), ALPHA_S)
    s_u = residual_covariance(u)
    taught = teacher.x @ heads
    fitted = student.x @ u.Q @ (student.x.T @ (u.w[:, None] * taught))
    off = (taught - fitted).float()[:, None, :, None]
    variance = residual_variance(s_u, off)[:, 0, 0]
    student_risk = (student.group_weights @ ((clean - fitted) ** 2 + variance)).mean(1)
    return np.stack([shares @ teacher_risk.numpy(), shares @ student_risk.numpy()])


def test_exact_limits_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # So few rows of a group have cross leverage that every row has to be a landmark.
    monkeypatch.setattr(population, "N_LANDMARKS", 100_000)
    model = _model()
    limits = exact_limits(model, Regime(GAMMA, NU, ALPHA_W, ALPHA_S), eta_l=ETA_L, eta_u=ETA_U)
    exact = np.stack([limits.teacher_risk([0, 1]), limits.student_risk([0, 1])])
    small, large = _risks(16), _risks(32)
    # The free intercept, which the model lacks, costs a share of order 1/d_z; nothing else does.
    gap = np.abs(large / exact - 1).max()
    assert gap < 2 / 32
    assert gap < 0.6 * np.abs(small / exact - 1).max()
    np.testing.assert_allclose(2 * large - small, exact, rtol=4e-3)
