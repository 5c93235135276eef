"""Where the prediction is known to fail: each case is off by more than its neighbour that is not.

docs/prediction.md tells of them; a change that mends one has to change the page.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from w2s_groups.prediction.population import Population, Side
from w2s_groups.prediction.ridge_covariance import spread
from w2s_groups.prediction.ridge_mean import draws, response
from w2s_groups.prediction.ridge_samples import make_noise, sampled_scores

DRAWS, N = 400, 4000


def variance_ratio(
    x: np.ndarray, codes: np.ndarray, counts: list[int], l2: float, names: tuple[str, ...]
) -> float:
    """Predicted / fitted variance of scores at fresh rows, draws independent and labels by sign."""
    rng = np.random.default_rng(1)
    rows = torch.as_tensor(np.column_stack([x, np.ones(len(x))]))
    mask = torch.as_tensor(codes == np.arange(len(counts))[:, None]).double()
    side = Side(rows, mask / mask.sum(1, keepdim=True))
    target = (x[:, :4].sum(axis=1) + rng.standard_normal(len(x)) > 0).astype(np.float64)
    sizes = torch.full((len(counts),), torch.inf, dtype=torch.float64)
    people = Population(
        side, side, torch.as_tensor(codes), torch.as_tensor(target)[:, None], sizes,
        torch.zeros(len(counts), dtype=torch.int64), names,
    )  # fmt: skip
    code = people.codes
    r = response(side, code, draws(side, code, torch.as_tensor(counts), sizes, names), l2)
    noise = make_noise(people, 200, 0)
    at = rows[:: len(rows) // 100]
    _, seen = sampled_scores(
        spread(code, sizes, r), code, people.targets[:, None, None],
        noise.labelled[:, None], noise, (at @ r.Q).float(),
    )  # fmt: skip
    assert seen is not None
    penalty = l2 * np.eye(rows.shape[1])
    penalty[-1, -1] = 0
    full, scores = rows.numpy(), []
    for _ in range(DRAWS):
        drawn = np.concatenate(
            [rng.choice(np.flatnonzero(codes == g), size=m) for g, m in enumerate(counts)]
        )
        A = full[drawn]
        scores.append(
            at.numpy() @ np.linalg.solve(A.T @ A / len(A) + penalty, A.T @ target[drawn] / len(A))
        )
    return float(seen[:, 0, :, 0].var(dim=1).mean()) / float(np.stack(scores).var(axis=0).mean())


def normal(d: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, d))


ONE = np.zeros(N, dtype=np.int64)


def test_ordinary_features_are_well_predicted() -> None:
    assert variance_ratio(normal(40), ONE, [60], 0.1, ("all",)) == pytest.approx(1, abs=0.08)


def test_groups_of_a_few_images() -> None:
    codes = np.repeat([0, 1], [N // 2, N // 2])
    x = normal(40)
    x[codes == 1] = 2 * x[codes == 1] + 1.5
    many = variance_ratio(x, codes, [60, 20], 0.1, ("a", "b"))
    few = variance_ratio(x, codes, [18, 2], 0.1, ("a", "b"))
    assert many == pytest.approx(1, abs=0.1)
    assert few > 1.1


def test_heavy_tails_are_no_failure() -> None:
    rng = np.random.default_rng(2)
    x = normal(40) * np.sqrt(1.5 / rng.chisquare(1.5, N))[:, None]
    assert variance_ratio(x, ONE, [60], 0.1, ("all",)) == pytest.approx(1, abs=0.08)


def test_least_squares_at_as_many_images_as_features() -> None:
    x = normal(40)
    assert variance_ratio(x, ONE, [120], 0.0, ("all",)) == pytest.approx(1, abs=0.1)
    assert variance_ratio(x, ONE, [44], 0.0, ("all",)) < 0.75
