"""Ridge heads of a whole grid against scikit-learn's Ridge, one fit at a time, on the same draws.

20 eta_l x 20 eta_u x 10 seeds of teacher, student, baseline and ceiling. A researcher who loops
over cells fits all four in each; `per_cell_fits` counts those, `distinct_fits` the ones that are
not repeats of another cell's. scikit-learn fits a sample, and its time is that mean times the fits.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from grid_data import Features, draw, features, on_every_device
from reference_heads import objective_value, predict_proba
from sklearn.linear_model import Ridge

from w2s_groups.heads.problem import Head, Problem, Squared, one_hot
from w2s_groups.heads.solve import plan, solve

L2, TOL, SAMPLE = 1e-1, 1e-9, 3
N_L, N_U = 500, 2_000
METHODS = ("teacher", "w2s", "baseline", "ceiling")


def grid(
    data: Features, etas: np.ndarray, seeds: int, device: str = "cpu"
) -> tuple[dict[tuple[Any, ...], Problem], dict[tuple[Any, ...], Head]]:
    """Problems and heads of the whole grid by (method, seed, eta); students by both etas."""
    pool = {"teacher": data.teacher[: data.n_pool], "student": data.student[: data.n_pool]}
    problems: dict[tuple[Any, ...], Problem] = {}
    for seed in range(seeds):
        for eta in etas:
            for method, side, name, n in (
                ("teacher", "teacher", "labelled", N_L),
                ("baseline", "student", "labelled", N_L),
                ("ceiling", "student", "unlabelled", N_U),
            ):
                rows = draw(data, seed, name, eta, n)
                targets = one_hot(data.y[rows], 2)
                problems[method, seed, eta] = Problem(side, rows, targets, Squared(), L2)
    first = [key for key in problems if key[0] == "teacher"]
    solved = solve(pool, [problems[key] for key in first], tol=TOL, device=device)
    heads = dict(zip(first, solved, strict=True))
    X = pool["teacher"].astype(np.float64)
    for seed in range(seeds):
        teachers = [heads["teacher", seed, eta] for eta in etas]
        scores = X @ np.concatenate([head.coef for head in teachers], axis=1)
        scores += np.concatenate([head.intercept for head in teachers])
        for eta_u in etas:
            rows = problems["ceiling", seed, eta_u].rows
            for k, eta_l in enumerate(etas):
                targets = np.stack([1 - scores[rows, k], scores[rows, k]], axis=1)
                student = Problem("student", rows, targets, Squared(), L2)
                problems["w2s", seed, eta_l, eta_u] = student
    second = [key for key in problems if key not in heads]
    solved = solve(pool, [problems[key] for key in second], tol=TOL, device=device)
    return problems, heads | dict(zip(second, solved, strict=True))


@on_every_device
def test_ridge_grid_against_scikit_learn(device: str, benchmark: Any) -> None:
    data, etas, seeds = features(), np.linspace(0.025, 0.5, 20), 10
    if device == "cuda":
        grid(data, etas[:2], 1, device)  # a GPU's libraries load on their first use
    problems, heads = benchmark.pedantic(grid, (data, etas, seeds, device), rounds=1)
    ours = benchmark.stats["min"]
    seconds, excess, accuracy = {}, {}, {}
    for method in METHODS:
        keys = [key for key in problems if key[0] == method]
        sample = [keys[i] for i in np.linspace(0, len(keys) - 1, SAMPLE).astype(int)]
        gaps, right = [], []
        start = time.perf_counter()
        models = []
        for key in sample:
            p = problems[key]
            X = getattr(data, p.side)[p.rows].astype(np.float64)
            models.append(Ridge(alpha=len(p.rows) * L2).fit(X, p.targets[:, 1]))
        seconds[method] = (time.perf_counter() - start) / SAMPLE
        for key, model in zip(sample, models, strict=True):
            p, X = problems[key], getattr(data, problems[key].side)
            other = Head(model.coef_[:, None], np.array([model.intercept_]), True)
            gaps.append(objective_value(X, p, heads[key]) - objective_value(X, p, other))
            test = X[data.n_pool :]
            decided = [predict_proba(h, test).argmax(1) for h in (heads[key], other)]
            right.append([float(np.mean(d == data.y[data.n_pool :])) for d in decided])
        excess[method] = max(gaps)
        accuracy[method] = np.mean(right, axis=0).round(4).tolist()
    cells = len(etas) ** 2 * seeds
    counts = {method: sum(key[0] == method for key in problems) for method in METHODS}
    pool = {"teacher": data.teacher[: data.n_pool], "student": data.student[: data.n_pool]}
    per_cell = cells * sum(seconds.values())
    distinct = sum(counts[m] * seconds[m] for m in METHODS)
    benchmark.extra_info.update(
        per_cell_fits=4 * cells,
        distinct_fits=sum(counts.values()),
        scikit_learn_seconds_per_fit={m: round(s, 4) for m, s in seconds.items()},
        ratio_per_cell_extrapolated=per_cell / ours,
        ratio_distinct_extrapolated=distinct / ours,
        largest_objective_excess=max(excess.values()),
        accuracy_ours_and_scikit_learn=accuracy,
        planned_gigabytes=plan(pool, list(problems.values())).bytes / 2**30,
    )
    assert max(excess.values()) <= 1e-12
    assert ours < 30
    assert per_cell / ours > 50


@pytest.mark.quick
def test_small_ridge_grid_against_scikit_learn(benchmark: Any) -> None:
    """10 x 10 cells of one seed: a ratio for a busy machine to watch."""
    data, etas = features(), np.linspace(0.05, 0.5, 10)
    problems, _ = benchmark.pedantic(grid, (data, etas, 1), rounds=2)
    start = time.perf_counter()
    for method in METHODS:
        p = next(p for key, p in problems.items() if key[0] == method)
        X = getattr(data, p.side)[p.rows].astype(np.float64)
        Ridge(alpha=len(p.rows) * L2).fit(X, p.targets[:, 1])
    ratio = len(etas) ** 2 * (time.perf_counter() - start) / benchmark.stats.stats.min
    benchmark.extra_info.update(ratio_per_cell_extrapolated=ratio)
    assert ratio > 5


@pytest.mark.slow
def test_ridge_cost_of_a_further_cell(benchmark: Any) -> None:
    """Milliseconds a cell as the grid grows, one seed; and as the student's features widen."""
    data = features()
    growth = {}
    for size in (3, 5, 10, 20):
        start = time.perf_counter()
        grid(data, np.linspace(0.025, 0.5, size), 1)
        growth[f"{size}x{size}"] = round(1e3 * (time.perf_counter() - start) / size**2, 2)
    widths = {}
    for d_s in (256, 512, 1024, 2048):
        wide = features(d_s=d_s)
        start = time.perf_counter()
        grid(wide, np.linspace(0.05, 0.5, 10), 1)
        widths[d_s] = round(1e3 * (time.perf_counter() - start) / 100, 2)
    benchmark.pedantic(grid, (data, np.linspace(0.05, 0.5, 3), 1), rounds=1, iterations=1)
    benchmark.extra_info.update(ms_a_cell_by_grid=growth, ms_a_cell_of_10x10_by_d_s=widths)
    assert growth["20x20"] < growth["3x3"]
