"""Risks in a grid: scores of which the larger is the better, and the levels that tables show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tables import grid_table

from w2s_groups.results.grid import Grid
from w2s_groups.results.measure import ACCURACY, risks
from w2s_groups.results.pivot import grids
from w2s_groups.results.ranks import rank_ranges
from w2s_groups.results.risks import risk_by_group
from w2s_groups.results.stats import accuracy_interval, mean_interval


def risk_table(scale: float = 1.0) -> pd.DataFrame:
    """The table of accuracies with 1 - accuracy for a risk, times `scale`."""
    table = grid_table()
    read = table["metric"] == "accuracy"
    table.loc[read, "value"] = scale * (1 - table.loc[read, "value"])
    table.loc[read, "metric"] = "risk"
    return table[table["split"] != "kept"]


def grid_of(table: pd.DataFrame) -> Grid:
    (grid,) = grids(table)
    return grid


@pytest.fixture(scope="module")
def accuracies() -> Grid:
    return grid_of(grid_table())


@pytest.mark.parametrize("scale", [1.0, 3000.0, 1e-7])
def test_gains_ranks_and_worst_groups_are_those_of_the_accuracies(
    accuracies: Grid, scale: float
) -> None:
    """A risk of 1 - accuracy has the same gains, whatever its unit; its worst group is highest."""
    grid = grid_of(risk_table(scale))
    factor = scale / grid.measure.unit
    for metric in ("average", "worst_group", "best_group", "minority", "majority", "sample_mean"):
        score = factor * (accuracies.metric(metric) - 1)
        ours, theirs = grid.metric(metric), score
        if metric == "worst_group":  # of groups with equal means either may be taken
            ours, theirs = ours.mean(axis=-1), theirs.mean(axis=-1)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
        level = grid.measure.interval(grid.metric(metric))
        np.testing.assert_allclose(level.mean, factor * (1 - accuracies.metric(metric).mean(-1)))
    at = ["method", "eta_l", "eta_u"]
    each = risk_table(scale).query("split == 'test'").groupby([*at, "group"])["value"].mean()
    highest = each.groupby(at).max()
    worst = grid.measure.unit * grid.measure.interval(grid.metric("worst_group")).mean
    for m, method in enumerate(grid.methods):
        np.testing.assert_allclose(worst[:, m].mean(), highest[method].mean())
    for one, other in ((grid, accuracies), (accuracies, grid)):
        first = rank_ranges(one.over_points(one.metric("average")), 0.0)
        again = rank_ranges(other.over_points(other.metric("average")), 0.0)
        np.testing.assert_array_equal(first.best, again.best)


@pytest.mark.parametrize(("typical", "unit"), [(0.3, 1.0), (3000.0, 1e3), (2e-7, 1e-7), (49, 1.0)])
def test_a_unit_shows_three_digits(typical: float, unit: float) -> None:
    measure = risks(typical * np.array([[0.8, 1.0, 1.3], [np.nan, 1.0, 1.0]]))
    assert measure.unit == pytest.approx(unit)
    assert measure.label == ("risk" if unit == 1 else f"risk in units of {unit:g}")


def test_levels_are_cut_to_what_they_can_be() -> None:
    value = np.array([0.2, 0.5, 3.0])
    measure = risks(value)
    plain, cut = mean_interval(value), measure.interval(measure.scores(value))
    assert plain.low < 0 == cut.low
    assert (cut.mean, cut.high, cut.n) == (plain.mean, plain.high, plain.n)
    share = np.array([0.9, 0.95, 1.0])
    own, same = ACCURACY.interval(share, 0.1), accuracy_interval(share, 0.1)
    assert [float(part) for part in own] == [float(part) for part in same]


def test_risks_have_no_grain() -> None:
    assert grid_of(risk_table()).step() == 0.0


def test_risk_by_group_by_hand() -> None:
    risk, n = risk_by_group([1.0, -2.0, 3.0], [0, 0, 2], 3, scale=10.0)
    np.testing.assert_allclose(risk, [25.0, np.nan, 90.0])
    assert n.tolist() == [2, 0, 1]
