"""DLLL25's synthetic regression from Gram matrices against samples drawn in full, in numpy.

One point of the paper's figure: d_star = 300, d_w = 200, d_s = 100, n = 2000, N = 4000, three
teachers, 40 trials. The alternative draws the n + N samples of a trial and fits each model to them,
by lstsq or by the normal equations; it runs a few trials, and times are per trial. It draws the 300
coordinates that matter, not all d, which favours it.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from w2s_groups.core.seeds import stream
from w2s_groups.theory.intrinsic import MODELS, exact_risks
from w2s_groups.theory.intrinsic_simulate import Sizes, simulate_risks

SETTING = Sizes(d=20_000, d_star=300, d_w=200, d_s=100)
D_SW, N_LABELLED, N_UNLABELLED, SIGMA2, TRIALS, SAMPLE = [10, 50, 90], 2000, 4000, 0.01, 40, 3


def lstsq(X, y):
    return np.linalg.lstsq(X, y, rcond=None)[0]


def normal_equations(X, y):
    return np.linalg.solve(X.T @ X, X.T @ y)


def dense(fit, rng):
    """(len(D_SW), 4) risks of one trial."""
    dim = SETTING.d_star
    beta = rng.choice([-1.0, 1.0], dim) * np.sqrt(SETTING.energy)
    x = rng.standard_normal((N_LABELLED + N_UNLABELLED, dim))
    y = x @ beta + np.sqrt(SIGMA2) * rng.standard_normal(len(x))
    labelled, unlabelled, strong = x[:N_LABELLED], x[N_LABELLED:], slice(0, SETTING.d_s)

    def risk(coef, seen):
        theta = np.zeros(dim)
        theta[seen] = coef
        return np.sum((theta - beta) ** 2)

    baseline = risk(fit(labelled[:, strong], y[:N_LABELLED]), strong)
    ceiling = risk(fit(x[:, strong], y), strong)
    out = []
    for shared in D_SW:
        weak = SETTING.teacher(shared)
        teacher = fit(labelled[:, weak], y[:N_LABELLED])
        student = fit(unlabelled[:, strong], unlabelled[:, weak] @ teacher)
        out.append([risk(teacher, weak), risk(student, strong), baseline, ceiling])
    return np.array(out)


@pytest.mark.parametrize(("fit", "floor"), [(normal_equations, 3), (lstsq, 8)])
def test_one_point_against_drawn_samples(benchmark, fit, floor):
    setting = (SETTING, D_SW, N_LABELLED, N_UNLABELLED, [SIGMA2], TRIALS)
    found = benchmark.pedantic(
        lambda: simulate_risks(*setting, stream(0, "bench")), rounds=3, warmup_rounds=1
    )[:, :, 0]
    ours = benchmark.stats.stats.min / TRIALS
    rng = stream(1, "bench")
    dense(fit, rng)
    start = time.perf_counter()
    drawn = np.array([dense(fit, rng) for _ in range(SAMPLE)])
    theirs = (time.perf_counter() - start) / SAMPLE
    closed = [exact_risks(SETTING.pair(d), N_LABELLED, N_UNLABELLED, SIGMA2) for d in D_SW]
    exact = np.array([[risks[name] for name in MODELS] for risks in closed])
    error = found.std(0, ddof=1) / np.sqrt(TRIALS)
    gap = float(np.max(np.abs(found.mean(0) - exact) / error))
    benchmark.extra_info.update(
        {
            "seconds per trial": ours,
            f"{fit.__name__}, seconds per trial, from {SAMPLE} trials": theirs,
            "ratio": theirs / ours,
            "gap to the exact means, standard errors": gap,
            "the same in relative terms": float(np.max(np.abs(found.mean(0) / exact - 1))),
            "of the drawn samples, in relative terms": float(
                np.max(np.abs(drawn.mean(0) / exact - 1))
            ),
        }
    )
    assert gap < 4.5
    assert theirs / ours > floor
