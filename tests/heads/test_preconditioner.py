"""The approximate inverse Hessian against numpy's inverse, by rows and by features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from w2s_groups.heads.preconditioner import DUAL, Preconditioner


@pytest.mark.parametrize("m", [6, 40])  # fewer and more rows than features
def test_it_is_the_inverse_of_the_hessian(m: int) -> None:
    rng = np.random.default_rng(m)
    X = np.concatenate([rng.normal(size=(m, 15)), np.ones((m, 1))], axis=1)
    h, penalty = rng.uniform(0.05, 0.25, m) / m, np.append(np.full(15, 1e-2), 0.0)
    made = Preconditioner(*(torch.as_tensor(part) for part in (X, h, penalty)))
    assert made.dual == (m < DUAL * 16)
    if made.dual:  # the intercept takes the rows' curvature for its penalty
        penalty[-1] = h.sum()
    inverse = np.linalg.inv(X.T @ (h[:, None] * X) + np.diag(penalty))
    found = made.times(torch.eye(16, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(found, inverse, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found, found.T, atol=1e-8)


def test_rows_without_weight_and_equal_features_do_not_break_it() -> None:
    X = torch.ones((5, 12))
    h = torch.tensor([0.2, 0.0, 0.1, 0.0, 0.2])
    made = Preconditioner(X, h, torch.full((12,), 1e-9))
    step = made.times(torch.eye(12))
    assert bool(torch.isfinite(step).all())
    assert float(torch.linalg.eigvalsh((step + step.T) / 2)[0]) > -1e-3 * float(step.abs().max())
