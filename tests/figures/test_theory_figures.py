from __future__ import annotations

import numpy as np
import pandas as pd

from w2s_groups.figures import gain_vs_eta_u_theory, phase_map
from w2s_groups.gaussian.build import model_with_overlap
from w2s_groups.gaussian.phase import phase_map as limits_map


def test_gain_figure_draws_lines_markers_and_intervals_of_the_table():
    rows = [
        (panel, value, eta_u, eta_t, eta_u, eta_u - 0.1, eta_u + 0.1, 2 * eta_u, 5)
        for panel in gain_vs_eta_u_theory.PANELS
        for value in (0.1, 0.2)
        for eta_u in (0.0, 0.5)
        for eta_t in (0.5, 1.0)
    ]
    columns = ["panel", "value", "eta_u", "eta_t", "mean", "low", "high", "exact", "replicates"]
    figure = gain_vs_eta_u_theory.draw(pd.DataFrame(rows, columns=columns), "title")
    assert len(figure.axes) == 8
    for axes in figure.axes:
        exact = [line for line in axes.lines if list(line.get_ydata()) == [0.0, 1.0]]
        assert len(exact) == 2
        assert len(axes.containers) == 2
    assert "5 replicates" in figure.get_suptitle()


def test_phase_map_draws_the_zero_line_only_where_there_is_one():
    maps = []
    for law in ("mixture", "location"):
        model = model_with_overlap(
            p_w=3, cos=[0.5], mu_w=2.0, mu_s=0.2, sigma_xi=0.5, sigma_y=1.0, law=law
        )
        axis = np.linspace(0, 0.5, 5)
        maps.append(limits_map(model, gamma_z=0.05, nu_z=0.1, eta_l=axis, eta_u=axis, eta_t=(0.5,)))
    figure = phase_map.draw(*maps)
    panels = figure.axes[:3]
    gains = (maps[0].gain_exact, maps[1].gain_exact, maps[1].gain_printed)
    for axes, gain in zip(panels, gains, strict=True):
        crosses = bool(gain.min() < 0 < gain.max())
        assert len(axes.collections) == 1 + crosses
        assert len(axes.lines) == 1
