"""Each drawing of a theory figure shows the columns of its table."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.figures import style
from w2s_groups.theory.build import model_with_overlap
from w2s_groups.theory.intrinsic import MODELS
from w2s_groups.theory.intrinsic_simulate import Sizes, simulate_risks
from w2s_groups.theory.regime import Regime
from w2s_groups.theory_figures import (
    gain_vs_eta_u,
    intrinsic_dimension,
    phase_map,
    printed_vs_exact,
    study,
)
from w2s_groups.theory_figures.intrinsic_dimension import point_table
from w2s_groups.theory_figures.printed_vs_exact import PrintedVsExact


def test_gain_figure_draws_lines_markers_and_intervals_of_the_table():
    rows = [
        (panel, value, eta_u, eta_t, eta_u, eta_u - 0.1, eta_u + 0.1, 2 * eta_u, 5)
        for panel in gain_vs_eta_u.PANELS
        for value in (0.1, 0.2)
        for eta_u in (0.0, 0.5)
        for eta_t in (0.5, 1.0)
    ]
    columns = ["panel", "value", "eta_u", "eta_t", "mean", "low", "high", "exact", "replicates"]
    figure = gain_vs_eta_u.draw(pd.DataFrame(rows, columns=columns), "title")
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
        axes = {"eta_l": axis, "eta_u": axis}
        maps.append(phase_map.phase_map(model, Regime(0.05, 0.1), **axes, eta_t=(0.5,)))
    figure = phase_map.draw(*maps)
    panels = figure.axes[:3]
    gains = (maps[0].gain_exact, maps[1].gain_exact, maps[1].gain_printed)
    for axes, gain in zip(panels, gains, strict=True):
        crosses = bool(gain.min() < 0 < gain.max())
        assert len(axes.collections) == 1 + crosses
        assert len(axes.lines) == 1


def assert_curves(lines, containers, curves):
    """Each of `curves` (x, rows) is drawn as its exact line, its printed line and its interval.

    rows: exact, printed, mean, low, high, in the order of x.
    """
    assert len(containers) == len(curves)
    assert len(lines) >= 3 * len(curves)
    for k, (x, rows) in enumerate(curves):
        exact, printed, mean = lines[3 * k : 3 * k + 3]
        for line, column in ((exact, "exact"), (printed, "printed"), (mean, "mean")):
            drawn = np.array(line.get_data(), dtype=np.float64)  # errorbar may hold objects
            np.testing.assert_allclose(drawn, [x, rows[column]], rtol=1e-14)
        assert exact.get_linestyle() == "-"
        assert printed.is_dashed()
        assert mean.get_linestyle() == "None"
        ends = np.array(containers[k].lines[2][0].get_segments())[:, :, 1]
        # The bars are mean - (mean - low): rounding, relative to the mean.
        rounding = 1e-12 * np.abs(rows["mean"]).max()
        np.testing.assert_allclose(ends, rows[["low", "high"]], rtol=1e-12, atol=rounding)


@pytest.fixture(scope="module")
def intrinsic_table():
    """Two d_sw, two points a sweep, rows in no order."""
    sizes, parts = Sizes(60, 12, 6, 4), []
    for row, (sweep, n, N) in enumerate(
        [("n", 20, 16), ("n", 12, 16), ("N", 14, 25), ("N", 14, 10)]
    ):
        risks = simulate_risks(sizes, [3, 1], n, N, [0.05], 6, stream(row, "test/figure"))
        parts += [
            point_table(sizes, d_sw, sweep, n, N, 0.05, risks[:, k, 0])
            for k, d_sw in enumerate((3, 1))
        ]
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)


def test_intrinsic_dimension_draws_the_columns_of_its_table(intrinsic_table):
    figure = intrinsic_dimension.draw(intrinsic_table)
    assert len(figure.axes) == 2 * 2 + 4

    def curve(sweep, d_sw, quantity):
        keys = {"sweep": sweep, "d_sw": d_sw, "quantity": quantity}
        rows = intrinsic_table
        for column, value in keys.items():
            rows = rows[rows[column] == value]
        rows = rows.sort_values(sweep)
        assert len(rows) == 2
        return rows[sweep], rows

    for axes, (sweep, d_sw) in zip(figure.axes[:4], product(("n", "N"), (1, 3)), strict=True):
        curves = [curve(sweep, d_sw, model) for model in MODELS]
        assert_curves(axes.lines, axes.containers, curves)
        assert len(axes.lines) == 3 * len(curves)
        for k, model in enumerate(MODELS):
            line = axes.lines[3 * k]
            assert line.get_color() == style.colour(model, ())
        held = "N = 16" if sweep == "n" else "n = 14"
        assert f"= {d_sw}$" in axes.get_title()
        assert held in axes.get_title()
        assert axes.get_yscale() == "log"
        assert axes.get_ylabel() == ("excess risk" if d_sw == 1 else "")
        assert axes.get_shared_y_axes().joined(axes, figure.axes[0 if sweep == "n" else 2])
    for axes, (quantity, sweep) in zip(
        figure.axes[4:], product(("PGR", "OPR"), ("n", "N")), strict=True
    ):
        assert_curves(axes.lines, axes.containers, [curve(sweep, d, quantity) for d in (1, 3)])
        assert axes.get_title().startswith(quantity)
        assert axes.get_yscale() == "linear"
    for axes, sweep in zip(figure.axes, "nnNNnNnN", strict=True):
        assert axes.get_xlabel() == intrinsic_dimension.AXIS[sweep]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert all(labels)
    assert len(labels) == len(MODELS) + 2 + 3
    assert any("6 trials" in label for label in labels)
    assert "0.05" in figure.get_suptitle()
    assert style.png(figure, dpi=40).startswith(b"\x89PNG")


def test_intrinsic_dimension_refuses_what_one_figure_cannot_show(intrinsic_table):
    two = pd.concat([intrinsic_table, intrinsic_table.assign(sigma2=0.1)])
    with pytest.raises(InputError, match="2 values of sigma2"):
        intrinsic_dimension.draw(two)
    with pytest.raises(InputError, match="0 values of sigma2"):
        intrinsic_dimension.draw(intrinsic_table.iloc[:0])
    many = pd.concat([intrinsic_table.assign(d_sw=d_sw) for d_sw in range(6)])
    with pytest.raises(InputError, match="6 values of d_sw"):
        intrinsic_dimension.draw(many)


@pytest.fixture(scope="module")
def printed_table(tmp_path_factory):
    """A run at d_z = 16, whose own picture is not needed, with its rows in no order."""
    folder = tmp_path_factory.mktemp("printed")
    kept, before = {}, torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "write_figure", lambda out, stem, table, _: kept.update(table=table))
        PrintedVsExact(
            study.Setting(3, 2, 0.4, 1.0, 0.2, 0.7, 1.0), study.MonteCarlo(16, 2, 0, 1e8, "cpu"),
            gamma_z=[0.1, 0.05], gamma_z_low=0.05, nu_z=0.1, nu_z_zero=0.2, eta_l=0.5,
            eta_l_zero=0.1, eta_t=0.5, eta_u_sweep=0.4, eta_u=[0.5, 0.1, 0.3],
        ).run(folder, folder / "work", lambda *a: None)  # fmt: skip
    torch.set_num_threads(before)
    return kept["table"].sample(frac=1, random_state=0)


def test_printed_vs_exact_draws_the_columns_of_its_table(printed_table):
    table = printed_table
    figure = printed_vs_exact.draw(table, "a title", p_w=3)
    assert len(figure.axes) == 3
    left, middle, right = figure.axes
    columns = ["exact", "printed", "mean", "low", "high"]

    def rows_of(finding, law, quantity, count):
        keep = (table["finding"] == finding) & (table["law"] == law)
        rows = table[keep & (table["quantity"] == quantity)]
        assert len(rows) == count
        return rows

    curves = []
    for side in ("teacher", "student"):
        rows = rows_of("a", "location", side, 2).sort_values("gamma_z")
        curves.append((3 * rows["gamma_z"], rows[columns].div(rows["gamma_z"], axis=0)))
    assert_curves(left.lines, left.containers, curves)
    assert [text.get_text() for text in left.texts] == ["teacher", "student"]
    curves = []
    for law, side in product(("mixture", "location"), ("teacher", "student")):
        rows = rows_of("b", law, side, 3).sort_values("eta_u")
        curves.append((rows["eta_u"], rows))
    assert_curves(middle.lines, middle.containers, curves)
    curves = []
    for law in ("mixture", "location"):
        rows = rows_of("c", law, "gain", 3).sort_values("eta_u")
        curves.append(((rows["eta_u"] - 0.1) ** 2, rows))
    assert_curves(right.lines, right.containers, curves)
    for axes, count in ((left, 6), (middle, 12), (right, 7)):  # (c) has its zero line
        assert len(axes.lines) == count
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    np.testing.assert_array_equal(right.lines[-1].get_ydata(), 0)
    # Each panel states its own point: (c) has eta_l_zero and nu_z_zero.
    for axes, eta_l, nu_z in ((left, "0.5", "0.1"), (middle, "0.5", "0.1"), (right, "0.1", "0.2")):
        assert rf"$\eta_\ell={eta_l}$, $\nu_z={nu_z}$" in axes.get_title()
    assert "a title" in figure.get_suptitle()
    assert "2 replicates" in figure.get_suptitle()
    assert style.png(figure, dpi=40).startswith(b"\x89PNG")
