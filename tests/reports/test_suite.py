"""Means, intervals and ranks over data sets follow from those of each; what is absent is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tables import LIFT, grid_table

from w2s_groups.methods import METHODS
from w2s_groups.reports import leaderboard, suite
from w2s_groups.reports.comparisons import RANKED, over_grid, ranks
from w2s_groups.reports.page import papers
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids
from w2s_groups.results.stats import Interval

FAR = {**LIFT, "w2s": 0.02, "selective": 0.03}


@pytest.fixture(scope="module")
def two() -> list[Grid]:
    return grids(pd.concat([grid_table(), grid_table(lift=FAR, seeds=4, data="digits")]))


def interval(mean: float, low: float, high: float, n: int) -> Interval:
    return Interval(np.array(mean), np.array(low), np.array(high), np.array(n))


def half(one: Interval) -> float:
    return float(one.high - one.mean)


def test_one_setup_is_as_its_own_report(two: list[Grid]) -> None:
    names = ["w2s", "selective"]
    for grid in two:
        for metric in RANKED:
            assert suite.over_suite([grid], metric, "w2s", "teacher") == over_grid(
                grid, metric, "w2s", "teacher"
            )
            assert suite.rank_ranges([grid], metric, names) == ranks(grid, metric, names)


def test_half_widths_of_data_sets_add_by_squares(two: list[Grid]) -> None:
    each = [over_grid(grid, "average", "w2s", "teacher") for grid in two]
    whole = suite.over_suite(two, "average", "w2s", "teacher")
    assert float(whole.mean) == pytest.approx(np.mean([float(one.mean) for one in each]))
    assert half(whole) == pytest.approx(np.hypot(half(each[0]), half(each[1])) / 2)
    assert int(whole.n) == 4


def test_a_data_set_has_one_weight_however_many_pairs_it_has(two: list[Grid]) -> None:
    pair = grid_table().assign(student="other")
    three = grids(pd.concat([grid_table(), pair, grid_table(lift=FAR, seeds=4, data="digits")]))
    for other in (None, "teacher"):
        few, many = (suite.over_suite(of, "average", "w2s", other) for of in (two, three))
        # The second pair is a copy of the first: two that move together know no more than one.
        assert [float(part) for part in few] == pytest.approx([float(part) for part in many])


def test_p_is_the_level_where_the_interval_reaches_zero() -> None:
    (grid,) = grids(grid_table(eta_l=(0.05,), eta_u=(0.5,), seeds=10, n=10**6))
    edge = interval(0.2, 0.0, 0.4, 10)
    assert suite.p_of([grid], edge) == pytest.approx(0.05, abs=1e-6)
    t = stats.t.ppf(0.975, 9)
    wide = interval(0.3, 0.1, 0.5, 10)
    assert suite.p_of([grid], wide) == pytest.approx(2 * stats.t.sf(1.5 * t, 9), abs=1e-6)
    few = interval(0.3, 0.1, 0.5, 2)
    assert suite.p_of([grid], few) == 1.0
    # Equal differences in all seeds are not certain: rounding adds to their variance.
    (coarse,) = grids(grid_table(eta_l=(0.05,), eta_u=(0.5,), seeds=3, n=20))
    same = interval(0.01, 0.01, 0.01, 3)
    assert suite.p_of([coarse], same) > 0.05


def test_ranks_over_a_suite_separate_what_differs_everywhere(two: list[Grid]) -> None:
    rows = {row.method: row for row in suite.standings(two, {})}
    assert rows["selective"].rank["average"] == "1"
    assert rows["w2s"].rank["average"] == "2"
    assert all(rows[name].rank["average"] == "" for name in ("teacher", "baseline", "ceiling"))
    twice = [
        pd.concat([table, table[table.method == "w2s"].assign(method="hard")])
        for table in (grid_table(), grid_table(data="digits"))
    ]
    places = suite.rank_ranges(grids(pd.concat(twice)), "average", ["w2s", "hard", "selective"])
    assert places == {"w2s": "2-3", "hard": "2-3", "selective": "1"}


def test_students_come_first_by_worst_group_then_references(two: list[Grid]) -> None:
    rows = suite.standings(two, {})
    assert [row.reference for row in rows] == [False, False, True, True, True]
    for kind in (False, True):
        worst = [float(row.mean["worst_group"].mean) for row in rows if row.reference is kind]
        assert worst == sorted(worst, reverse=True)


def test_what_is_missing_is_blank_and_said(two: list[Grid]) -> None:
    lost = pd.concat([grid_table(), grid_table(methods=("teacher", "w2s"), data="digits")])
    shown = grids(lost)
    rows = {row.method: row for row in suite.standings(shown, {})}
    assert np.isnan(rows["selective"].mean["average"].mean)
    assert rows["selective"].rank["average"] == ""
    assert rows["w2s"].rank["average"] == "1"
    asked = {"data": ["birds_mammals", "digits", "texts"], "unfinished": {"jobs": "1 of 3"}}
    told = " ".join(suite.absent(shown, asked))
    assert "Not in this report: texts. Every mean is over the other 2 data sets." in told
    assert "lacks 1 of 3 jobs" in told
    assert "without a mean over them: selective, baseline, ceiling" in told
    assert suite.absent(two, {"data": {"name": "birds_mammals"}}) == []
    files = leaderboard.build(lost, {"experiment": "suite", **asked})
    for name in ("leaderboard.md", "leaderboard.html"):
        assert "Not in this report: texts." in str(files[name])


def test_the_sentence_names_the_first_student_and_what_stays_open() -> None:
    one = grids(grid_table(seeds=1))
    said = suite.sentence(suite.standings(one, {}), one)
    assert said.startswith("selective has the highest mean of 2 students on the worst group")
    assert "ranks 1 to 2 remain open" in said
    none = grids(grid_table(methods=("teacher",), lift={"teacher": 0.0}))
    assert "No student" in suite.sentence(suite.standings(none, {}), none)


def test_tuning_says_trials_fixed_or_itself() -> None:
    (grid,) = grids(grid_table())
    settings = {"trials": {"selective": {"l2": [1, 2], "q": [0.1, 0.2, 0.3]}}, "select": "labelled"}
    rows = {row.method: row.tuned for row in suite.standings([grid], settings)}
    assert rows["selective"] == "6 trials"
    assert rows["w2s"] == "fixed"
    untuned = suite.standings([grid], {**settings, "select": "fixed"})
    assert {row.tuned for row in untuned} == {"fixed"}


def test_every_source_of_a_method_is_a_paper_or_this_suite(tmp_path: Path) -> None:
    for name, kind in METHODS.items():
        for source in kind.sources:
            found = [one for one in papers.PAPERS if re.search(rf"\b{one.pattern}", source)]
            assert len(found) == (source != "this suite"), (name, source)
        assert all(one.url.startswith("https://") for one in papers.of_method(name))
    text = papers.bibtex(METHODS)
    keys = re.findall(r"@misc\{([^,]+),", text)
    assert len(keys) == len(set(keys)) == len(papers.PAPERS)
    assert text.count("{") == text.count("}")
