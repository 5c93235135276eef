"""A 20 x 20 map predicted without training, against training the same cells; and cost by width.

The alternatives are 20 draws a cell of teacher and student: this project's ridge grid, which is
measured, and scikit-learn's Ridge, whose time is that of a few fits times their number.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from bench_ridge import L2, N_L, N_U, grid
from grid_data import Features, features, on_every_device
from sklearn.linear_model import Ridge

from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import group_counts
from w2s_groups.prediction.mixes import Prediction
from w2s_groups.prediction.population import population
from w2s_groups.prediction.ridge import predict
from w2s_groups.prediction.ridge_retraining import Selection

GROUPS, PRIORS = Groups(("0", "1"), ("0", "1")), np.full(2, 0.5)
DRAWS, SAMPLES = 20, 64


def predicted(
    data: Features, etas: np.ndarray, device: str = "cpu", selection: Selection | None = None
) -> Prediction:
    """The map of one pair, second moments of the pool included."""
    n = data.n_pool
    people = population(
        data.teacher[:n], data.student[:n], GROUPS.codes(data.y[:n], data.a[:n]), GROUPS,
        device=device,
    )  # fmt: skip
    labelled, unlabelled = (
        np.stack([group_counts(GROUPS, PRIORS, size, eta) for eta in etas]) for size in (N_L, N_U)
    )
    return predict(people, labelled, unlabelled, L2, L2, samples=SAMPLES, selection=selection)


def second_moments(data: Features, device: str) -> torch.Tensor:
    """The student's second moments by group, which every run computes."""
    n = data.n_pool
    people = population(
        data.student[:n], data.student[:n], GROUPS.codes(data.y[:n], data.a[:n]), GROUPS,
        device=device,
    )  # fmt: skip
    return people.student.second_moments


@pytest.mark.slow
@on_every_device
def test_a_map_against_training_its_cells(device: str, benchmark: Any) -> None:
    data, etas = features(), np.linspace(0.025, 0.5, 20)
    if device == "cuda":
        predicted(data, etas[:2], device)  # a GPU's libraries load on their first use
    prediction = benchmark.pedantic(predicted, (data, etas, device), rounds=1)
    ours = benchmark.stats["min"]
    assert np.isfinite(prediction.student).all()
    start = time.perf_counter()
    grid(data, etas, DRAWS // 10, device)
    trained = 10 * (time.perf_counter() - start)
    seconds = 0.0
    for side, n in (("teacher", N_L), ("student", N_U)):
        X, y = getattr(data, side)[:n].astype(np.float64), data.y[:n].astype(np.float64)
        start = time.perf_counter()
        Ridge(alpha=n * L2).fit(X, y)
        seconds += time.perf_counter() - start
    cells = len(etas) ** 2
    start = time.perf_counter()
    assert second_moments(data, device).shape[-1] == data.student.shape[1] + 1
    of_moments = time.perf_counter() - start
    benchmark.extra_info.update(
        cells=cells,
        seconds_of_the_pools_moments=of_moments,
        samples_a_cell=SAMPLES,
        threads=torch.get_num_threads(),
        seconds_of_20_draws_a_cell_by_our_ridge_grid_extrapolated_from_2=trained,
        ratio_to_our_ridge_grid=trained / ours,
        ratio_to_scikit_learn_extrapolated=cells * DRAWS * seconds / ours,
    )
    assert ours < 60


@pytest.mark.slow
@on_every_device
def test_cost_by_width(device: str, benchmark: Any) -> None:
    """Seconds of a 2 x 2 map as the student's features widen, the teacher's at 512."""
    etas = np.array([0.1, 0.5])
    widths = {}
    for d_s in (256, 512, 1024, 2048, 4096):
        wide = features(d_s=d_s)
        start = time.perf_counter()
        predicted(wide, etas, device)
        widths[d_s] = round(time.perf_counter() - start, 2)
    data = features(d_s=256)
    benchmark.pedantic(predicted, (data, etas, device), rounds=1)
    benchmark.extra_info.update(seconds_of_2x2_by_d_s=widths)


@pytest.mark.slow
@on_every_device
def test_retraining_on_a_map(device: str, benchmark: Any) -> None:
    """A 4 x 4 map with students retrained on their most confident half, and the map without."""
    data, etas = features(), np.linspace(0.05, 0.5, 4)
    if device == "cuda":
        predicted(data, etas[:2], device)
    prediction = benchmark.pedantic(predicted, (data, etas, device, Selection(0.5)), rounds=1)
    assert prediction.retrained is not None
    start = time.perf_counter()
    predicted(data, etas, device)
    without = time.perf_counter() - start
    benchmark.extra_info.update(
        cells=len(etas) ** 2,
        samples_a_cell=SAMPLES,
        threads=torch.get_num_threads(),
        seconds_without_retraining=without,
        times_a_map_without_retraining=benchmark.stats["min"] / without,
    )
