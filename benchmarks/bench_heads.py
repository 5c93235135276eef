"""Logistic heads of a grid at once against scikit-learn, one fit at a time, on the same draws."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from grid_data import draw, features
from sklearn.linear_model import LogisticRegression

from w2s_groups.heads.grid import solve
from w2s_groups.heads.logistic import objective_value
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, one_hot

L2, SAMPLE = 1e-3, 3


def test_logistic_ceilings_against_scikit_learn(benchmark: Any) -> None:
    """Nine eta_u, one seed, hard labels (which scikit-learn can fit); both to tol 1e-8.

    scikit-learn fits SAMPLE of the cells; its time for all is that mean times the cells.
    """
    data = features()
    X = data.student[: data.n_pool]
    rows = [draw(data, 0, "unlabelled", eta, 2_000) for eta in np.linspace(0.05, 0.5, 9)]
    problems = [Problem("student", r, one_hot(data.y[r], 2), CrossEntropy(), L2) for r in rows]
    heads = benchmark.pedantic(
        lambda: solve({"student": X}, problems, tol=1e-8), rounds=3, iterations=1
    )
    start = time.perf_counter()
    theirs = []
    for r in rows[:SAMPLE]:
        fit = LogisticRegression(C=1 / (len(r) * L2), tol=1e-8, max_iter=5_000)
        fit.fit(X[r].astype(np.float64), data.y[r])
        theirs.append(Head(fit.coef_.T, fit.intercept_))
    per_fit = (time.perf_counter() - start) / SAMPLE
    gaps = [
        objective_value(X, problem, ours) - objective_value(X, problem, other)
        for problem, ours, other in zip(problems, heads, theirs, strict=False)
    ]
    benchmark.extra_info.update(
        scikit_learn_seconds_per_fit=per_fit,
        ratio_extrapolated=per_fit * len(rows) / benchmark.stats["mean"],
        largest_objective_excess=max(gaps),
    )
    assert max(gaps) <= 1e-12
