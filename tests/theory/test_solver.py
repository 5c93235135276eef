from __future__ import annotations

import numpy as np
import pytest
import torch
from held_rows import HeldRows

from w2s_groups.core.errors import InputError
from w2s_groups.theory.rows import CHUNK_ROWS, DrawnRows
from w2s_groups.theory.solver import product_ridge, product_values

D_Z = 12


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def problem(n: int, p: int, G: int = 2, m: int = 2, seed: int = 0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, D_Z))
    group = rng.random((G, n, 1)) < 0.2
    psi = np.concatenate([np.ones((G, n, 1)), 0.6 * rng.standard_normal((G, n, p - 1)) + group], 2)
    return z, psi, z[None, :, :1] + rng.standard_normal((G, n, m))


def dense(z, psi, y, alpha):
    """Dense reference: lstsq on phi, with sqrt(n alpha) I below it for ridge."""
    n, p, d = len(z), psi.shape[2], z.shape[1]
    out = np.empty((len(psi), y.shape[2], p, d))
    for g in range(len(psi)):
        phi = (psi[g][:, :, None] * z[:, None, :]).reshape(n, p * d)
        target = y[g]
        if alpha > 0:
            phi = np.vstack([phi, np.sqrt(n * alpha) * np.eye(p * d)])
            target = np.vstack([target, np.zeros((p * d, y.shape[2]))])
        out[g] = np.linalg.lstsq(phi, target, rcond=1e-12)[0].T.reshape(-1, p, d)
    return out


def relative(theta: torch.Tensor, reference: np.ndarray) -> float:
    error = np.linalg.norm(theta.numpy() - reference, axis=(2, 3))
    return float((error / np.linalg.norm(reference, axis=(2, 3))).max())


@pytest.mark.parametrize(
    ("n", "p", "alpha"),
    [
        (240, 4, 0.0),
        (240, 4, 0.05),
        (60, 1, 0.0),
        (60, 1, 0.3),
        (30, 4, 0.0),  # underdetermined: minimum norm
        (30, 4, 0.01),  # overparametrised ridge
        (60, 4, 0.0),  # close to interpolation
    ],
)
def test_equals_dense_least_squares(n, p, alpha):
    z, psi, y = problem(n, p)
    solution = product_ridge(HeldRows(z), psi, y, alpha, tol=1e-9)
    assert relative(solution.theta, dense(z, psi, y, alpha)) < 1e-8
    assert float(solution.error.max()) <= 1e-9


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_duplicate_psi_takes_the_minimum_norm(alpha):
    z, psi, y = problem(200, 3)
    psi = np.concatenate([psi, psi[:, :, 1:2], 0 * psi[:, :, :1]], axis=2)
    theta = product_ridge(HeldRows(z), psi, y, alpha, tol=1e-10).theta
    assert relative(theta, dense(z, psi, y, alpha)) < 1e-8
    assert torch.allclose(theta[:, :, 1], theta[:, :, 3], atol=1e-9)
    assert float(theta[:, :, 4].abs().max()) < 1e-12


@pytest.mark.parametrize("block_rows", [1, 7, 240, 1000])
def test_block_size_changes_nothing(block_rows):
    z, psi, y = problem(240, 3)
    whole = product_ridge(HeldRows(z), psi, y, 0.0, tol=1e-10).theta
    parts = product_ridge(HeldRows(z, block_rows=block_rows), psi, y, 0.0, tol=1e-10).theta
    assert relative(parts, whole.numpy()) < 1e-9


def test_batch_equals_one_by_one():
    z, psi, y = problem(240, 3, G=3, m=2)
    batch = product_ridge(HeldRows(z), psi, y, 0.01, tol=1e-10).theta
    for g in range(3):
        for m in range(2):
            one = product_ridge(
                HeldRows(z), psi[g : g + 1], y[g : g + 1, :, m : m + 1], 0.01, tol=1e-10
            )
            assert relative(one.theta, batch[g : g + 1, m : m + 1].numpy()) < 1e-9


def test_recovers_an_exact_theta_and_predicts_it():
    z, psi, _ = problem(240, 3)
    theta = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 2, 3, D_Z)))
    rows = HeldRows(z)
    y = product_values(rows, torch.from_numpy(psi), theta)
    by_hand = np.einsum("gip,gmpd,id->gim", psi, theta.numpy(), z)
    assert np.abs(y.numpy() - by_hand).max() < 1e-12
    assert relative(product_ridge(rows, psi, y, 0.0, tol=1e-10).theta, theta.numpy()) < 1e-9


def test_zero_targets_give_zero():
    z, psi, y = problem(100, 2)
    assert float(product_ridge(HeldRows(z), psi, 0 * y, 0.0).theta.abs().max()) == 0.0


def test_drawn_rows_are_the_same_held_or_drawn_again_and_nested():
    n = CHUNK_ROWS + 100
    held = DrawnRows(3, "z", n, 5, memory=1e9)
    again = DrawnRows(3, "z", n, 5, memory=0)
    longer = DrawnRows(3, "z", 2 * n, 5, memory=1e9)
    first, second, third = (
        torch.cat([z for _, z in rows.blocks(torch.float64)]) for rows in (held, again, longer)
    )
    assert first.shape == (n, 5)
    assert torch.equal(first, second)
    assert torch.equal(first[:CHUNK_ROWS], third[:CHUNK_ROWS])
    assert abs(float(first.mean())) < 5 / np.sqrt(n * 5)
    assert abs(float(first.var()) - 1) < 5 * np.sqrt(2 / (n * 5))


def test_too_ill_conditioned_is_said():
    z, psi, y = problem(48, 4)  # n = p d_z: the smallest eigenvalue of Phi^T Phi vanishes
    with pytest.raises(InputError, match="ill-conditioned"):
        product_ridge(HeldRows(z), psi, y, 0.0, max_passes=20)


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), float("inf")])
def test_bad_alpha(alpha):
    z, psi, y = problem(60, 2)
    with pytest.raises(InputError, match="alpha="):
        product_ridge(HeldRows(z), psi, y, alpha)


def test_bad_shapes_and_values():
    z, psi, y = problem(60, 2)
    with pytest.raises(InputError, match="do not fit"):
        product_ridge(HeldRows(z), psi[:, :50], y, 0.0)
    with pytest.raises(InputError, match="finite"):
        product_ridge(HeldRows(z), psi * np.nan, y, 0.0)
    with pytest.raises(InputError, match="d_z=0"):
        DrawnRows(0, "z", 5, 0, memory=1)
