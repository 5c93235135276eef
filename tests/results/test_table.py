"""The long table: its text, its order, and the arrays made of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tables import METHODS, grid_table

from w2s_groups.core.errors import InputError
from w2s_groups.results import columns
from w2s_groups.results.grid import METRICS, Missing
from w2s_groups.results.method_facts import method_order
from w2s_groups.results.pivot import grids


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grid_table(seeds=3)


def _test_rows(table: pd.DataFrame, **want: object) -> pd.Series:
    mask = table["split"] == "test"
    for column, value in want.items():
        mask &= table[column] == value
    return mask


def test_text_gives_back_the_same_table(table: pd.DataFrame) -> None:
    again = columns.from_csv(columns.to_csv(table))
    pd.testing.assert_frame_equal(again, columns.canonical(table), check_exact=True)


def test_names_that_look_missing_survive_the_text(table: pd.DataFrame) -> None:
    odd = table.replace({"group": {"bird-on-land": "NA"}, "teacher": {"squeezenet": 'a,"b"\n'}})
    pd.testing.assert_frame_equal(columns.from_csv(columns.to_csv(odd)), columns.canonical(odd))


def test_row_and_column_order_do_not_matter(table: pd.DataFrame) -> None:
    mixed = table.sample(frac=1, random_state=3)[list(reversed(table.columns))]
    assert columns.to_csv(mixed) == columns.to_csv(table)


def test_mixed_settings_and_broken_tables_are_refused(table: pd.DataFrame) -> None:
    other = table.assign(cell="another configuration")
    with pytest.raises(InputError, match="twice"):
        columns.canonical(pd.concat([table, other]))
    with pytest.raises(InputError, match="lacks the columns value"):
        columns.canonical(table.drop(columns="value"))
    with pytest.raises(InputError, match="minority"):
        columns.canonical(table.assign(minority="False"))
    with pytest.raises(InputError, match="wrong type"):
        columns.canonical(table.assign(seed="first"))
    with pytest.raises(InputError, match="lacks the columns cell"):
        columns.from_csv("<html>404</html>\n")
    with pytest.raises(InputError, match=r"x\.csv is not a result table"):
        columns.from_csv("n_l,n_u\nmany,1000\n", "x.csv")


def test_method_order_keeps_unknown_names_before_the_references() -> None:
    found = method_order(["ceiling", "zeta", "w2s", "baseline", "alpha", "teacher"])
    assert found == ("teacher", "w2s", "alpha", "zeta", "baseline", "ceiling")


def test_arrays_hold_the_records(table: pd.DataFrame) -> None:
    (grid,) = grids(table)
    assert grid.accuracy.shape == (8, 5, 3, 4)
    assert grid.methods == METHODS
    row = table[_test_rows(table, method="selective", seed=2, eta_l=0.5, eta_u=0.2)]
    records = row.set_index("group")["value"]
    p, m = grid.points.index((0.5, 0.2)), grid.methods.index("selective")
    np.testing.assert_array_equal(grid.accuracy[p, m, 2], records[list(grid.groups)])
    assert grid.metric("average")[p, m, 2] == pytest.approx(records.mean())
    assert grid.metric("worst_group")[p, m, 2] == records.min()
    assert grid.drawn["labelled"][p, 2].sum() == 300
    # labelled at eta_l = 1/2: the train-weighted mean is the balanced one
    assert grid.metric("train_weighted_mean")[p, m, 2] == pytest.approx(records.mean())
    assert {name: grid.metric(name).shape for name in METRICS} == dict.fromkeys(METRICS, (8, 5, 3))
    assert grid.missing == ()


def test_the_worst_group_is_the_lowest_on_average_and_not_the_mean_of_each_runs_lowest() -> None:
    table = grid_table(eta_l=(0.5,), eta_u=(0.5,), seeds=2, methods=("teacher",))
    swing = {("bird-on-land", 0): 0.4, ("mammal-on-land", 1): 0.4}
    keys = zip(table["group"], table["seed"], strict=True)
    table.loc[table["split"] == "test", "value"] = 0.9
    low = pd.Series([key in swing for key in keys]) & (table["split"] == "test")
    table.loc[low, "value"] = 0.4
    (grid,) = grids(table)
    # each group averages 0.65 or more, but every run has a group at 0.4
    assert grid.metric("worst_group").mean() == pytest.approx(0.65)
    assert grid.metric("worst_group_of_run").mean() == pytest.approx(0.4)


def test_class_priors_reach_the_mix(table: pd.DataFrame) -> None:
    (grid,) = grids(table, [1.0, 0.0])
    expected = grid.accuracy[..., :2].mean(axis=-1)
    np.testing.assert_allclose(grid.metric("average"), expected)


def test_an_absent_group_is_not_a_failed_run() -> None:
    (grid,) = grids(grid_table(seeds=2, absent="bird-on-land"))
    assert grid.missing == ()
    assert grid.smallest_n == 0
    assert np.isnan(grid.metric("average")).all()
    assert np.isfinite(grid.metric("worst_group")).all()
    assert np.isfinite(grid.metric("majority")).all()


def test_failed_and_lost_runs_are_listed_and_enter_nothing(table: pd.DataFrame) -> None:
    broken = table.copy()
    fail = _test_rows(broken, method="w2s", seed=1, eta_l=0.05, eta_u=0.05)
    broken.loc[fail & (broken["group"] == "bird-on-land"), "value"] = np.nan
    lost = _test_rows(broken, method="ceiling", seed=0, eta_l=0.5, eta_u=0.5)
    (grid,) = grids(broken[~lost])
    assert grid.missing == (
        Missing(0.05, 0.05, "w2s", (1,), "no number"),
        Missing(0.5, 0.5, "ceiling", (0,), "not in the table"),
    )
    assert np.isnan(grid.metric("worst_group")[0, 1, 1])
    points, seeds = grid.common()
    ran = np.isfinite(grid.metric("average")).all(axis=1)
    assert ran[np.ix_(points, seeds)].all()
    assert points.sum() * seeds.sum() >= 12  # two bad cells do not cost half the grid


def test_a_method_that_never_ran_does_not_empty_the_common_block(table: pd.DataFrame) -> None:
    broken = table.copy()
    broken.loc[_test_rows(broken, method="w2s"), "value"] = np.nan
    points, seeds = grids(broken)[0].common()
    assert points.all()
    assert seeds.all()


def test_one_grid_for_each_setup(table: pd.DataFrame) -> None:
    both = pd.concat([table, table.assign(n_u=500), table.assign(data="another")])
    assert [(g.data, g.n_u) for g in grids(both)] == [
        ("another", 1000), ("birds_mammals", 500), ("birds_mammals", 1000),
    ]  # fmt: skip
