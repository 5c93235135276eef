"""Each sentence on what is off stands where it holds, and not where it just does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
from tables import GROUPS, LIFT, METHODS, grid_table

from w2s_groups.reports import leaderboard
from w2s_groups.reports.unusual import agreement, unusual
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids

SMALL = {"eta_l": (0.05,), "eta_u": (0.2, 0.5), "seeds": 3}


def table(**other: object) -> pd.DataFrame:
    """Two points, three seeds: six runs of each method."""
    return grid_table(**{**SMALL, **other})  # type: ignore[arg-type]


def grid_of(rows: pd.DataFrame) -> Grid:
    (grid,) = grids(rows)
    return grid


def constant(rows: pd.DataFrame, method: str, runs: list[tuple[float, int]]) -> pd.DataFrame:
    """`method` says class 0 for every test row in these (eta_u, seed)."""
    rows = rows.copy()
    for eta_u, seed in runs:
        here = (rows.method == method) & (rows.split == "test") & (rows.metric == "accuracy")
        here &= (rows.eta_u == eta_u) & (rows.seed == seed)
        rows.loc[here, "value"] = (rows.loc[here, "y"] == 0).astype(float)
    return rows


def atoms(
    rows: pd.DataFrame,
    method: str,
    split: str,
    metric: str,
    value: object,
    group: str | None = None,
) -> pd.DataFrame:
    """The table with further rows: value(group's place, eta_u, seed) -> (value, n)."""
    cells = rows.drop_duplicates(["eta_l", "eta_u", "seed"])
    of = GROUPS if group is None else [(group, -1, -1, False)]
    further = []
    for _, cell in cells.iterrows():
        for g, (name, y, a, few) in enumerate(of):
            number, n = value(g, cell.eta_u, cell.seed)  # type: ignore[operator]
            further.append(
                {
                    **cell.to_dict(), "method": method, "split": split, "metric": metric,
                    "group": name, "y": y, "a": a, "minority": few, "value": number, "n": n,
                }
            )  # fmt: skip
    return pd.concat([rows, pd.DataFrame(further)], ignore_index=True)


def test_an_ordinary_table_has_nothing_unusual() -> None:
    assert unusual(grid_of(table())) == []
    assert agreement(grid_of(table())) == []


def test_one_class_for_every_test_row_is_counted_in_runs() -> None:
    rows = constant(table(), "w2s", [(0.2, 0), (0.5, 0), (0.5, 2)])
    assert unusual(grid_of(rows)) == ["W2S gives every test row the same class in 3 of 6 runs."]
    assert "same class in 3 of 6 runs" in leaderboard.summary_text(rows, {})
    both = constant(rows, "hard", [(0.2, 0)])
    assert unusual(grid_of(both)) == unusual(grid_of(rows))
    every = table()
    for method in METHODS:
        every = constant(every, method, [(e, s) for e in (0.2, 0.5) for s in range(3)])
    (line,) = unusual(grid_of(every))
    assert line == (
        "teacher, W2S, selective and 2 other methods give every test row the same class in 6 of 6 "
        "runs."
    )


def test_one_wrong_row_is_not_every_row() -> None:
    rows = constant(table(), "w2s", [(0.2, 0)])
    right = (rows.method == "w2s") & (rows.value == 1.0)
    rows.loc[right & (rows.group == GROUPS[0][0]), "value"] = 59 / 60
    assert unusual(grid_of(rows)) == []


def test_a_perfect_method_does_not_give_one_class() -> None:
    rows = table()
    rows.loc[(rows.method == "w2s") & (rows.split == "test"), "value"] = 1.0
    assert unusual(grid_of(rows)) == []
    # nor one that is right on a test set of one class
    only = rows[(rows.split != "test") | (rows.y == 0)]
    assert not any("same class" in line for line in unusual(grid_of(only)))


def test_of_more_than_two_classes_only_what_is_known_is_said() -> None:
    rows = table()
    third = rows[rows.y == 1].assign(y=2, group=lambda t: t.group + "-2")
    rows = constant(pd.concat([rows, third]), "w2s", [(0.2, 0)])
    assert unusual(grid_of(rows)) == [
        "W2S is right on all test rows of one class and wrong on all others in 1 of 6 runs."
    ]


def test_an_absent_group_is_named() -> None:
    (line,) = unusual(grid_of(table(absent="bird-on-land")))
    assert line.startswith("The test set has no row of the group bird-on-land: means that need it")


def kept(one_class: bool, one_label: bool) -> pd.DataFrame:
    """Kept sets that in seed 0 hold rows, or pseudolabels, of class 0 only."""

    def fraction(g: int, eta_u: float, seed: int) -> tuple[float, int]:
        none = one_class and seed == 0 and GROUPS[g][1] == 1
        return (0.0, 0) if none else (0.25, 10)

    def right(g: int, eta_u: float, seed: int) -> tuple[float, int]:
        _, n = fraction(g, eta_u, seed)
        label = float(GROUPS[g][1] == 0) if one_label and seed == 0 else 0.8
        return (label if n else np.nan), n

    rows = table()
    rows = rows[rows.split != "kept"]
    rows = atoms(rows, "selective", "kept", "fraction", fraction)
    return atoms(rows, "selective", "kept", "accuracy", right)


def test_kept_sets_of_one_class_are_counted() -> None:
    truth = "selective keeps only rows whose true class is the same in 2 of 6 runs."
    label = "selective keeps only rows whose pseudolabel is the same in 2 of 6 runs."
    for one_class in (False, True):
        for one_label in (False, True):
            expected = [truth] * one_class + [label] * one_label
            assert unusual(grid_of(kept(one_class, one_label))) == expected


def test_below_chance_is_said_where_the_test_set_is_large_enough_to_show_it() -> None:
    shift = {**LIFT, "w2s": -0.35}
    (line,) = unusual(grid_of(table(lift=shift)))
    assert line.startswith("W2S is below chance on a balanced test: accuracy 0.29")
    assert line.endswith("where guessing reaches 0.500 (n = 240).")
    near = {**LIFT, "w2s": -0.16}  # below 0.5 by less than 240 rows can show
    grid = grid_of(table(lift=near))
    assert 0.45 < grid.metric("average")[:, 1].mean() < 0.5
    assert unusual(grid) == []


def test_chance_of_three_classes_is_a_third() -> None:
    rows = table(lift={**LIFT, "w2s": -0.3})  # about 0.36, above a third
    third = rows[rows.y == 1].assign(y=2, group=lambda t: t.group + "-2")
    assert unusual(grid_of(pd.concat([rows, third]))) == []


def test_upweighted_rows_are_counted_and_none_is_said() -> None:
    names = {"methods": (*METHODS, "jtt"), "lift": {**LIFT, "jtt": 0.05}}

    def some(g: int, eta_u: float, seed: int) -> tuple[float, int]:
        return float(seed * (g + 1)), 250

    rows = atoms(table(**names), "jtt", "upweighted", "count", some)
    assert unusual(grid_of(rows)) == [
        "jtt upweights 10.0 of the 1000 unlabelled rows on average (0 to 20), none in 2 of 6 runs."
    ]
    rows = atoms(table(**names), "jtt", "upweighted", "count", lambda g, e, s: (0.0, 250))
    assert unusual(grid_of(rows)) == [
        "jtt upweights none of the 1000 unlabelled rows in all of 6 runs."
    ]


def test_methods_that_agree_are_named_with_the_share() -> None:
    def share(value: float) -> object:
        return lambda g, eta_u, seed: (value + 0.01 * (seed - 1), 240)

    rows = atoms(table(), "selective", "agreement", "fraction", share(0.96), "w2s")
    rows = atoms(rows, "baseline", "agreement", "fraction", share(0.94), "ceiling")
    grid = grid_of(rows)
    assert unusual(grid) == [
        "W2S and selective agree on 96.0 % of all test rows (mean over 6 runs)."
    ]
    (section,) = agreement(grid)
    assert section.rows == (("W2S", "selective", "96.00 %", "6"),)
    # rows of an agreement are no group, and no number of a method
    assert grid.groups == tuple(name for name, *_ in GROUPS)
    np.testing.assert_array_equal(grid.accuracy, grid_of(table()).accuracy)


def test_many_pairs_are_listed_in_the_report() -> None:
    rows = table()
    for one, two in (("selective", "w2s"), ("baseline", "ceiling"), ("teacher", "w2s")):
        rows = atoms(rows, one, "agreement", "fraction", lambda g, e, s: (0.97, 240), two)
    rows = atoms(rows, "selective", "agreement", "fraction", lambda g, e, s: (1.0, 240), "ceiling")
    (line,) = unusual(grid_of(rows))
    assert line.startswith(
        "4 pairs of methods agree on 95 % or more of all test rows, most of all selective and "
        "ceiling (100.0 %)"
    )
    shown = leaderboard.build(rows, {"experiment": "x"})["leaderboard.md"]
    assert isinstance(shown, str)
    assert "| selective | ceiling | 100.00 % | 6 |" in shown
    assert "nan" not in shown
