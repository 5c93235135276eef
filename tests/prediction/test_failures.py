"""Where the prediction is known to fail: each case is off by more than its neighbour that is not.

docs/prediction.md describes them; a change that mends one has to change the page.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from w2s_groups.prediction.population import GroupedFeatures, Population
from w2s_groups.prediction.ridge_covariance import residual_covariance
from w2s_groups.prediction.ridge_mean import mean_response, sampling_design
from w2s_groups.prediction.ridge_samples import sample_noise, sample_scores

DRAWS, N = 400, 4000


def variance_ratio(
    x: np.ndarray, codes: np.ndarray, counts: list[int], l2: float, names: tuple[str, ...]
) -> float:
    """Predicted / fitted variance of scores at fresh rows, draws independent and labels by sign."""
    rng = np.random.default_rng(1)
    rows = torch.as_tensor(np.column_stack([x, np.ones(len(x))]))
    target = (x[:, :4].sum(axis=1) + rng.standard_normal(len(x)) > 0).astype(np.float64)
    sizes = torch.full((len(counts),), torch.inf, dtype=torch.float64)
    features = GroupedFeatures(rows, torch.as_tensor(codes), sizes, names)
    classes = torch.zeros(len(counts), dtype=torch.int64)
    people = Population(features, features, torch.as_tensor(target)[:, None], classes)
    response = mean_response(features, sampling_design(features, torch.as_tensor(counts)), l2)
    noise = sample_noise(people, 200, 0)
    at = rows[:: len(rows) // 100]
    _, predicted = sample_scores(
        residual_covariance(response), people.targets[:, None, None], noise.labelled[:, None],
        noise, (at @ response.Q).float(),
    )  # fmt: skip
    assert predicted is not None
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
    variance = float(predicted[:, 0, :, 0].var(dim=1).mean())
    return variance / float(np.stack(scores).var(axis=0).mean())


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
