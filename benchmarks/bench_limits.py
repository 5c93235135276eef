"""One exact limit against Sobol integration, and a 50 × 50 phase map against one limit a point.

Both alternatives run here too, on the same model: the map's on 25 points, scaled to 2500.
The reached relative error of each route is stated beside its time.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from w2s_groups.core.seeds import stream
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.phase import phase_map, risk_map
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.sobol import sobol_risks

POINTS, SAMPLE, LOG2_NODES = 50, 5, 14
ETA_T = (0.0, 0.5, 1.0)
RATES = Regime(gamma_z=0.05, nu_z=0.02)


def model(law):
    return model_with_overlap(
        p_w=5, cos=equal_cosines(5, 3, 1.4), mu_w=2.0, mu_s=1.0, sigma_xi=0.7, sigma_y=1.0, law=law
    )


def risks(limits):
    return np.stack([limits.teacher_risk(ETA_T), limits.student_risk(ETA_T)])


@pytest.mark.quick
@pytest.mark.parametrize("law", ["mixture", "location"])
def test_one_limit_against_sobol(benchmark, law):
    m, setting = model(law), {"eta_l": 0.05, "eta_u": 0.4}
    found = benchmark.pedantic(
        lambda: exact_limits(m, RATES, **setting), rounds=20, iterations=1, warmup_rounds=2
    )
    ours = benchmark.stats.stats.median
    start = time.perf_counter()
    brute = sobol_risks(
        m,
        RATES,
        eta_t=ETA_T,
        rng=stream(0, "bench"),
        log2_nodes=LOG2_NODES,
        scramblings=1,
        **setting,
    )[0]
    theirs = time.perf_counter() - start
    reference = risks(exact_limits(m, RATES, rtol=0.0, **setting))
    error = float(np.max(np.abs(risks(found) / reference - 1)))
    benchmark.extra_info.update(
        {
            "seconds per limit": ours,
            f"Sobol seconds, 2^{LOG2_NODES} nodes": theirs,
            "ratio": theirs / ours,
            "relative error, stated": found.error,
            "relative error, against the finest rule": error,
            "relative error, Sobol": float(np.max(np.abs(brute / reference - 1))),
        }
    )
    assert ours < 0.05
    assert error <= max(found.error, 1e-12)


@pytest.mark.parametrize("law", ["mixture", "location"])
@pytest.mark.parametrize("route", ["risk_map", "phase_map"])
def test_phase_map_against_one_limit_a_point(benchmark, law, route):
    """risk_map: the exact gain. phase_map: the printed gain and the best η_u as well."""
    m, axis = model(law), np.linspace(0, 0.5, POINTS)
    compute = {"risk_map": risk_map, "phase_map": phase_map}[route]
    found = benchmark.pedantic(
        lambda: compute(m, RATES, eta_l=axis, eta_u=axis, eta_t=ETA_T), rounds=3, warmup_rounds=1
    )
    ours = benchmark.stats.stats.median
    at = np.linspace(0, POINTS - 1, SAMPLE).astype(int)
    start = time.perf_counter()
    for i in at:
        for j in at:
            exact_limits(m, RATES, eta_l=axis[i], eta_u=axis[j])
    theirs = (time.perf_counter() - start) * (POINTS / SAMPLE) ** 2
    error = 0.0
    gain = found.gain if route == "risk_map" else found.gain_exact
    for i in at:
        for j in at:
            fine = exact_limits(m, RATES, eta_l=axis[i], eta_u=axis[j], rtol=0.0)
            off = np.abs(gain[:, i, j] - fine.gain(ETA_T)) / fine.teacher_risk(ETA_T)
            error = max(error, float(off.max()))
    benchmark.extra_info.update(
        {
            "seconds per map": ours,
            f"one limit a point, seconds, from {SAMPLE**2} points": theirs,
            "ratio": theirs / ours,
            "relative error, stated": found.error,
            "error of the gain / teacher's risk, against the finest rule": error,
        }
    )
    assert ours < 5
    assert max(found.error, error) < 1e-3
    assert theirs / ours > 10
