"""Fixed and tuned settings of one run, and what each rule costs, on a whole small run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_groups.cli import run
from w2s_groups.reports import leaderboard, rebuild, trials, tuning
from w2s_groups.reports.comparisons import group_labels_used
from w2s_groups.reports.methods_table import methods_table
from w2s_groups.reports.section import Section
from w2s_groups.results import committed, select
from w2s_groups.results.pivot import grids
from w2s_groups.results.select import Rule
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
RUN = (
    *("experiment=leaderboard", "methods=[teacher,w2s,selective,combined,self_distilled,ceiling]"),
    *("data=gaussian", "data.n_pool=500", "data.n_test=240", "data.d_z=4", "threads=1"),
    *("eta_l=[0.1,0.5]", "eta_u=[0.1,0.5]", "n_l=30", "n_u=60", "seeds=[0,1,2]"),
    *("n_val=40", "eta_val=0.5"),
)


@pytest.fixture(scope="module")
def folder(load: Load, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    places = (f"cache_dir={out}", f"results_dir={out / 'r'}", f"reports_dir={out / 'reports'}")
    run.run(load(*RUN, *places))
    assert rebuild.differences(out) == []
    return out / "reports/leaderboard/gaussian"


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return committed.read(folder)


@pytest.fixture(scope="module")
def settings(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "settings.json").read_text())
    return found


def of(table: pd.DataFrame, settings: dict[str, Any]) -> trials.Setup:
    found, _ = leaderboard.selected(table, settings)
    (one,) = trials.setups(table, settings, found, grids(table))
    return one


@pytest.fixture(scope="module")
def setup(table: pd.DataFrame, settings: dict[str, Any]) -> trials.Setup:
    return of(table, settings)


def part(setup: trials.Setup, title: str) -> Section:
    (found,) = [one for one in tuning.sections(setup) if one.title == title]
    return found


def test_three_tables_of_one_run_have_the_same_methods(setup: trials.Setup) -> None:
    assert list(setup.tables) == [
        "tuned, select = labelled", "fixed, l2 = 0.001", "fixed, l2 = d / 1000",
    ]  # fmt: skip
    names = {grid.methods for grid in setup.tables.values()}
    assert len(names) == 1
    assert set(names.pop()) == {
        "teacher", "w2s", "selective", "combined", "self_distilled", "ceiling"
    }  # fmt: skip
    assert not any(grid.missing for grid in setup.tables.values())
    # The given teacher is the same in all.
    scores = [grid.accuracy[:, grid.methods.index("teacher")] for grid in setup.tables.values()]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_every_ranked_method_has_as_many_trials_and_the_report_says_so(
    setup: trials.Setup, folder: Path
) -> None:
    assert set(setup.ordered.groupby("base").size()[setup.ranked]) == {12}
    text = (folder / "leaderboard.md").read_text()
    assert "select = labelled chooses one of 12 trials of each of 3 ranked students" in text
    assert "reads no test image and no group label" in text
    assert "nan" not in text.lower()
    (methods,) = methods_table(setup.settings)
    of = {row[0]: dict(zip(methods.header, row, strict=True)) for row in methods.rows}
    assert of["selective"]["tuned"] == (
        "keep = 0.5, 0.7, 0.9; l2 = 1, 0.3, 0.1, 0.03 d / 1000; 12 trials, select = labelled"
    )
    assert of["selective"]["fixed beforehand"].startswith("q = 0.7")
    assert of["teacher"]["tuned"] == "nothing"
    chosen = {row[0]: row for row in part(setup, "Trials chosen").rows}
    cells = 4 * 3
    for name, number in (("W2S", "12"), ("selective", "12"), ("self_distilled (reference)", "1")):
        assert chosen[name][1] == number
        assert sum(int(n) for n in chosen[name][2:-1] if n.isdigit()) == cells


def test_no_rule_beats_the_oracle_and_every_rule_is_shown(setup: trials.Setup) -> None:
    rows = part(setup, "What each rule chooses and costs").rows
    rules = [row[1] for row in rows if row[0] == "W2S"]
    assert rules == [
        "fixed, l2 = 0.001", "fixed, l2 = d / 1000", "labelled", "val_worst (uses group labels)",
        "val_mean (uses group labels)", "no_groups", "oracle: best trial by test, average",
        "oracle: best trial by test, worst group",
    ]  # fmt: skip
    for row in rows:
        for lost in (row[5], row[7]):
            if row[1] != "fixed, l2 = 0.001":  # which is no trial
                assert lost == "–" or not lost.startswith("-")
    scaled = [row[2] for row in rows if row[1] == "fixed, l2 = d / 1000"]
    assert set(scaled) == {"1"}


def test_what_a_rule_takes_has_the_numbers_of_the_table_that_it_gives(setup: trials.Setup) -> None:
    at = trials.rule_positions(setup, "labelled", "selective")
    position = setup.main.methods.index("selective")
    for metric in ("average", "worst_group"):
        np.testing.assert_array_equal(
            trials.values_at(setup, metric, at), setup.main.metric(metric)[:, position]
        )


def test_test_images_and_group_labels_move_no_choice(
    table: pd.DataFrame, settings: dict[str, Any]
) -> None:
    ordered = select.order(table, settings)
    before = select.choose(table, Rule.labelled, ordered)
    rng, other = np.random.default_rng(0), table.copy()
    test = other["split"] != "labelled"
    other.loc[test, "value"] = rng.permutation(other.loc[test, "value"].to_numpy())
    for column in ("y", "a", "minority"):
        other[column] = rng.permutation(other[column].to_numpy())
    after = select.choose(other.sample(frac=1, random_state=0), Rule.labelled, ordered)
    pd.testing.assert_frame_equal(before, after)
    assert before["method"].nunique() > 3


def test_the_other_rules_are_a_change_of_select_without_a_new_run(
    table: pd.DataFrame, settings: dict[str, Any]
) -> None:
    for rule, told in (("no_groups", "none"), ("val_worst", "val")):
        setup = of(table, {**settings, "select": rule})
        assert next(iter(setup.tables)) == f"tuned, select = {rule}"
        assert group_labels_used("selective", setup.main) == told
        assert group_labels_used("teacher", setup.main) == "none"
        assert ("group labels of validation" in tuning.sentences(setup)[0]) == (told == "val")
    fixed = of(table, {**settings, "select": "fixed"})
    assert list(fixed.tables) == ["fixed, l2 = 0.001", "fixed, l2 = d / 1000"]
    assert tuning.sentences(fixed) == []
    titles = [section.title for section in tuning.sections(fixed)]
    assert titles == ["Summary: fixed, l2 = d / 1000", "What each rule chooses and costs"]


def test_the_csv_has_the_three_tables_and_the_terminal_stays_narrow(
    folder: Path, table: pd.DataFrame, settings: dict[str, Any]
) -> None:
    rows = pd.read_csv(folder / "leaderboard.csv", comment="#")
    assert set(rows["settings"]) == {
        "tuned, select = labelled", "fixed, l2 = 0.001", "fixed, l2 = d / 1000",
    }  # fmt: skip
    assert (rows.groupby("settings").size() == 4 * 6).all()
    shown = leaderboard.summary_text(table, settings)
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.isascii()
    assert "select = labelled" in leaderboard.readme_block(table, settings)
