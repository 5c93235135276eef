from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from w2s_groups.core.errors import InputError
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.regime import Regime
from w2s_groups.theory_figures.gain_vs_eta_u import GainVsEtaU
from w2s_groups.theory_figures.phase_map import GainPhaseMap
from w2s_groups.theory_figures.printed_vs_exact import PrintedVsExact
from w2s_groups.theory_figures.study import MonteCarlo, Setting

SETTING = Setting(p_w=3, p_s=2, xi2=0.4, mu_w2=1.0, mu_s2=0.2, sigma_xi=0.7, sigma_y=1.0)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def gain() -> GainVsEtaU:
    return GainVsEtaU(
        SETTING, MonteCarlo(16, 3, 0, 1e8, "cpu"), "mixture", 320, 160, 0.1, [0.1, 0.4], [0.5, 1.0],
        [0.1, 0.5], [0.0], [160], [0.0],
    )  # fmt: skip


def test_gain_vs_eta_u_resumes_and_shows_the_exact_limit(tmp_path):
    calls: list[tuple[int, int]] = []
    gain().run(tmp_path / "out", tmp_path / "work", lambda *a: calls.append(a))
    assert calls[-1] == (3, 3)
    table = pd.read_csv(tmp_path / "out/gain_vs_eta_u_theory.csv")
    rows = table[(table["panel"] == "eta_l") & (table["value"] == 0.5) & (table["eta_u"] == 0.4)]
    limits = exact_limits(SETTING.model("mixture"), Regime(0.05, 0.1), eta_l=0.5, eta_u=0.4)
    assert np.allclose(rows["exact"], limits.gain(rows["eta_t"].to_numpy()), rtol=1e-4)
    assert (table["low"] < table["high"]).all()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.npz")}
    next(iter(written)).unlink()
    before = (tmp_path / "out/gain_vs_eta_u_theory.csv").read_bytes()
    gain().run(tmp_path / "out", tmp_path / "work", lambda *a: None)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.npz")}
    assert after.keys() == written.keys()
    assert sum(after[path] != written[path] for path in after) == 1
    assert (tmp_path / "out/gain_vs_eta_u_theory.csv").read_bytes() == before


def test_printed_vs_exact_and_phase_map(tmp_path):
    PrintedVsExact(
        SETTING,
        MonteCarlo(16, 2, 0, 1e8, "cpu"),
        [0.05, 0.1],
        0.05,
        0.1,
        0.2,
        0.5,
        0.1,
        0.5,
        0.4,
        [0.1, 0.5],
    ).run(tmp_path, tmp_path / "work", lambda *a: None)
    table = pd.read_csv(tmp_path / "printed_vs_exact.csv")
    assert set(table["quantity"]) == {"teacher", "student", "gain"}
    sweep = table[(table["finding"] == "a") & (table["quantity"] == "teacher")]
    assert np.allclose(sweep["printed"] / sweep["gamma_z"], 3.0)  # p_w at eta_t = eta_l
    GainPhaseMap(SETTING, 0.05, 0.1, [0.5], 5, 1e-4).run(
        tmp_path, tmp_path / "work", lambda *a: None
    )
    for stem in ("printed_vs_exact", "phase_map"):
        for ending in ("csv", "pdf", "png"):
            assert (tmp_path / f"{stem}.{ending}").stat().st_size > 0


def test_bad_configuration_fails_before_work(tmp_path):
    bad = gain()
    bad.simulation.replicates = 1
    with pytest.raises(InputError, match="replicates=1"):
        bad.run(tmp_path, tmp_path, lambda *a: None)
    bad = gain()
    bad.law = "gauss"
    with pytest.raises(InputError, match="law='gauss'"):
        bad.run(tmp_path, tmp_path, lambda *a: None)
    with pytest.raises(InputError, match="size=1"):
        GainPhaseMap(SETTING, 0.05, 0.1, [0.5], 1, 1e-4).run(tmp_path, tmp_path, lambda *a: None)
