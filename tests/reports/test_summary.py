"""What the summaries say against values computed apart from them, and what they leave out."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference
from tables import GROUPS, LIFT, METHODS, grid_table

from w2s_groups.methods import METHODS as METHODS_OF
from w2s_groups.reports import comparisons, csv_rows, leaderboard
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import of_setup
from w2s_groups.reports.shared import of_all
from w2s_groups.reports.verdict import sentences
from w2s_groups.results.pivot import grids

SETTINGS = {
    "experiment": "x",
    "l2": 0.001,
    "methods": {
        "selective": {"keep": 0.5},
        "mine": {"depth": 2},
    },
}
MANY = {
    "hard": 0.03,
    "selective[keep=0.3,q=0.7]": 0.12,
    "confidence": 0.05,
    "combined": 0.02,
    **{f"variant_{k}": 0.01 * k for k in range(9)},
}
VARIED = {"vary": {"selective": {"keep": [0.3], "q": [0.7]}}}

SIDES = ("difference", "p", "seeds for 80 %")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grid_table()


@pytest.fixture(scope="module")
def crowd() -> pd.DataFrame:
    return grid_table(methods=(*METHODS, *MANY), lift={**LIFT, **MANY})


def parts(table: pd.DataFrame, settings: dict[str, object] | None = None) -> dict[str, Section]:
    shown = settings or SETTINGS
    found = leaderboard.grids_of(table, shown)
    own = [section for grid in found for section in of_setup(grid, "", shown)]
    return {one.title: one for one in [*own, *of_all(shown)]}


def cell(section: Section, method: str, column: str) -> str:
    (row,) = [row for row in section.rows if row[section.keys] == method]
    return row[section.header.index(column)]


def per_seed(table: pd.DataFrame, method: str, lowest: bool) -> np.ndarray:
    """(S,) means over the points, by pandas."""
    here = table[(table.method == method) & (table.split == "test")]
    if lowest:
        here = lowest_of(here)
    return here.groupby(["seed", "eta_l", "eta_u"]).value.mean().groupby("seed").mean().to_numpy()


def lowest_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the group whose mean over seeds is the lowest of its point and method."""
    point = ["eta_l", "eta_u", "method"]
    mean = rows.groupby([*point, "group"]).value.mean().reset_index()
    return rows.merge(mean.loc[mean.groupby(point).value.idxmin(), [*point, "group"]])


@pytest.mark.parametrize(("column", "lowest"), [("average", False), ("worst group", True)])
def test_differences_in_the_summary_are_paired_over_seeds(
    table: pd.DataFrame, column: str, lowest: bool
) -> None:
    summary = parts(table)["Summary"]
    for other, name in (("teacher", "gain"), ("w2s", "over W2S")):
        difference = per_seed(table, "selective", lowest) - per_seed(table, other, lowest)
        low, high = reference.ttest_1samp(difference, 0.0).confidence_interval(0.95)
        expected = f"{difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        assert cell(summary, "selective", f"{name}, {column}") == expected
    assert cell(summary, "W2S", f"over W2S, {column}") == "–"


def test_the_csv_holds_paired_differences(table: pd.DataFrame) -> None:
    found = grids(table)
    text = csv_rows.rows(found).to_csv(index=False)
    rows = pd.read_csv(io.StringIO(text)).set_index(["eta_l", "eta_u", "method"])
    row = rows.loc[(0.5, 0.2, "selective")]
    here = table[(table.eta_l == 0.5) & (table.eta_u == 0.2) & (table.split == "test")]
    lowest = lowest_of(here).set_index(["method", "seed"]).value
    for other, name in (("teacher", "gain"), ("w2s", "over_w2s")):
        test = reference.ttest_rel(lowest["selective"], lowest[other])
        low, high = test.confidence_interval(0.95)
        expected = [(lowest["selective"] - lowest[other]).mean(), low, high]
        shown = row[[f"{name}_worst_group{end}" for end in ("", "_low", "_high")]]
        np.testing.assert_allclose(shown.to_numpy(dtype=float), expected, atol=6e-7)
    assert row["n_smallest"] == 60


def test_ranks_are_ranges_of_students_alone(crowd: pd.DataFrame) -> None:
    summary = parts(crowd, VARIED)["Summary"]
    assert "15 students" in summary.text[1]
    for reference_method in ("teacher", "baseline", "ceiling"):
        assert cell(summary, reference_method, "rank, average") == "–"
    # 0.12 stands 0.02 above the next in every seed but for rounding to 60 images
    assert cell(summary, "selective[keep=0.3,q=0.7]", "rank, average") == "1"
    # w2s and variant_4 have the same true lift: no rank is theirs alone
    shared = cell(summary, "W2S", "rank, average").split("-")
    assert len(shared) == 2
    assert int(shared[0]) < int(shared[1])


def test_variants_follow_their_method_whatever_their_name() -> None:
    lift = {**LIFT, "ceiling[l2=0.1]": 0.2, "selective[val_worst]": 0.12}
    validated = grid_table(methods=tuple(lift), lift=lift)
    settings = {"vary": {"ceiling": {"l2": [0.1]}}}
    (grid,) = leaderboard.grids_of(validated, settings)
    assert comparisons.students(grid) == ["w2s", "selective", "selective[val_worst]"]
    assert comparisons.group_labels_used("ceiling[l2=0.1]", grid) == "none"
    # a name says nothing: without settings it is an unregistered method
    assert comparisons.group_labels_used("selective[val_worst]", grid) == "–"
    chosen = replace(
        grid,
        bases={"selective[val_worst]": "selective"},
        chosen_by={"selective[val_worst]": "val_worst"},
    )
    assert comparisons.group_labels_used("selective[val_worst]", chosen) == "val"


def test_groups_show_two_uncertainties_and_their_n(table: pd.DataFrame) -> None:
    section = parts(table)["Accuracy by group"]
    assert "bird-on-land (minority, n = 60)" in section.header
    where = section.header.index("bird-on-land (minority, n = 60)")
    shown = {row[0].split()[0]: row[where] for row in section.rows if row[1] == "W2S"}
    here = table[(table.method == "w2s") & (table.group == "bird-on-land")]
    values = here[here.split == "test"].groupby("seed").value.mean()
    z, p, n = reference.norm.ppf(0.975), values.mean(), 60
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert shown["test"] == f"{p:.3f} [{middle - half:.3f}, {middle + half:.3f}]"
    over_draws = reference.t.ppf(0.975, 5) * values.std() / np.sqrt(6)
    assert shown["draws"] == f"{p:.3f} ± {over_draws:.3f}"


def test_the_smallest_group_stands_beside_every_worst_group(table: pd.DataFrame) -> None:
    table = table.copy()
    table.loc[(table.group == "bird-on-land") & (table.split == "test"), "n"] = 17
    found = parts(table)
    assert cell(found["Summary"], "W2S", "n") == "17"
    assert {row[found["Leaderboard"].header.index("n")] for row in found["Leaderboard"].rows} == {
        "17"
    }
    heads = found["Every method against W2S and the teacher"].header
    assert all("n = 17" in name for name in heads if "worst group" in name)
    for text in (leaderboard.summary_text(table, {}), leaderboard.readme_block(table, {})):
        assert "(n = 17)" in text
    for sentence in sentences(grids(table)[0]):
        assert sentence.lower().count("worst group") == sentence.count("worst group (n = 17)")


def test_points_above_and_below_are_counted(table: pd.DataFrame) -> None:
    section = parts(table)["Every method against W2S and the teacher"]
    (row,) = [row for row in section.rows if row[:2] == ("teacher", "selective")]
    here = table[table.split == "test"].groupby(["method", "eta_l", "eta_u", "seed"]).value.mean()
    pairs = (here["selective"] - here["teacher"]).groupby(["eta_l", "eta_u"])
    sure = np.array([reference.ttest_1samp(value, 0.0).pvalue < 0.05 for _, value in pairs])
    above = pairs.mean().to_numpy() > 0
    assert row[section.header.index("average: above")] == f"{above.sum()} ({sum(above & sure)})"
    assert row[section.header.index("average: below")] == f"{(~above).sum()} (0)"


def test_a_failed_run_enters_no_number_whatever_its_other_groups_say(table: pd.DataFrame) -> None:
    failed = (
        (table.method == "w2s") & (table.seed == 2) & (table.eta_l == 0.5) & (table.eta_u == 0.5)
    ) & (table.split == "test")
    broken = table.copy()
    broken.loc[failed & (table.group == "bird-on-land"), "value"] = np.nan
    wild = broken.copy()
    wild.loc[failed & (table.group != "bird-on-land"), "value"] = 0.01
    one, two, absent = parts(broken), parts(wild), parts(table[~failed])
    assert one == two
    for title in set(one) - {"Missing runs"}:
        assert one[title] == absent[title]
    assert "7 of 8 points" in one["Summary"].text[0]
    rows = {row[:3]: row[-1] for row in one["Leaderboard"].rows}
    assert rows[("0.5", "0.5", "W2S")] == "5 of 6"
    assert rows[("0.5", "0.5", "selective")] == "6 of 6"


def test_pgr_is_blank_where_the_ceiling_is_not_surely_above_the_teacher() -> None:
    level = parts(grid_table(lift={**LIFT, "ceiling": 0.0}))["Leaderboard"]
    where = level.header.index("PGR, average")
    values = [float(row[where].split()[0]) for row in level.rows if row[where] != "–"]
    # the interval of a gap of 0 lies off zero in one point of twenty
    assert len(values) <= 0.25 * sum(row[2] not in ("teacher", "ceiling") for row in level.rows)
    clear = parts(grid_table())["Leaderboard"]
    shown = [row[where] for row in clear.rows if row[2] == "selective"]
    assert all(float(text.split()[0]) == pytest.approx(0.1 / 0.15, abs=0.1) for text in shown)


def test_the_best_is_said_only_where_no_other_rank_is_left() -> None:
    for lead, verb, open_ranks in (
        (0.1, "is the best of 2 students", "(rank 1; first in 100 %"),
        (0.0, "has the highest mean of 2 students", "(ranks 1 to 2 remain open; first in "),
    ):
        lift = {**LIFT, "selective": LIFT["w2s"] + lead}
        (grid,) = grids(grid_table(eta_l=(0.5,), eta_u=(0.5,), lift=lift))
        found = [line for line in sentences(grid) if "of 2 students" in line]
        assert found
        assert all(verb in line and open_ranks in line for line in found)


def test_differences_have_their_exact_p_and_the_seeds_they_need(table: pd.DataFrame) -> None:
    section = parts(table)["Every method against W2S and the teacher"]
    for column, lowest in (("average", False), ("worst group (n = 60)", True)):
        for other, name in (("W2S", "w2s"), ("teacher", "teacher")):
            (row,) = [row for row in section.rows if row[:2] == (other, "selective")]
            shown = {side: row[section.header.index(f"{column}: {side}")] for side in SIDES}
            difference = per_seed(table, "selective", lowest) - per_seed(table, name, lowest)
            low, high = reference.ttest_1samp(difference, 0.0).confidence_interval(0.95)
            assert shown["difference"] == f"{difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
            assert shown["p"] == "0.031"  # all of six seeds on one side: 2 / 2^6
            assert shown["seeds for 80 %"] == "3"
    assert "with 6 seeds it cannot be below 0.031" in section.text[0]


def test_what_was_asked_for_and_never_made_is_listed(table: pd.DataFrame) -> None:
    asked = {
        "eta_l": [0.05, 0.5],
        "eta_u": [0.05, 0.2, 0.35, 0.5, 0.45],
        "seeds": [*range(6), 7],
        "methods": {"w2s": {}, "hard": {}},
    }
    shown = parts(table, asked)["Missing runs"].bullets
    assert shown == (
        "η_ℓ = 0.05, η_u = 0.45: no run of any method",
        "η_ℓ = 0.5, η_u = 0.45: no run of any method",
        "hard: no run",
        "seed 7: no run",
    )


def test_a_crowd_keeps_the_verdict_short(crowd: pd.DataFrame) -> None:
    (grid,) = leaderboard.grids_of(crowd, VARIED)
    assert len(grid.methods) == 18
    found = sentences(grid)
    assert len(found) <= 6
    lines = leaderboard.summary_text(crowd, VARIED).splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("The student is"))
    assert len(lines) - start <= 17
    assert max(map(len, lines)) <= 80
    (best,) = [line for line in found if "the best of" in line]
    assert best.startswith("selective[keep=0.3,q=0.7] (uses no group labels) is the best of 15")
    assert best.count("(rank 1; first in 100 % of seed resamples)") == 2
    assert len(parts(crowd, VARIED)["Summary"].rows) == 18


def test_a_best_method_with_group_labels_is_shown_with_the_best_one_without(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS_OF["selective"], "needs_groups", "val")
    found = sentences(grids(table)[0])
    (best,) = [line for line in found if "the best of" in line]
    assert best.startswith(
        "selective (uses group labels of the validation set) is the best of 2 student"
    )
    (blind,) = [
        line for line in found if line.startswith("Among students without group labels, W2S")
    ]
    assert "has the highest mean" in blind
    assert cell(parts(table)["Summary"], "selective", "group labels used") == "val"


def test_settings_leave_out_what_the_methods_table_shows(table: pd.DataFrame) -> None:
    found = parts(table)
    names = [row[0] for row in found["Settings"].rows]
    assert names == ["experiment", "l2", "methods.mine.depth"]
    assert [row[0] for row in found["Methods"].rows] == ["selective"]


def test_groups_without_test_images_do_not_hide_the_others() -> None:
    found = parts(grid_table(seeds=3, absent=GROUPS[1][0]))
    header = found["Accuracy by group"].header
    where = header.index("bird-on-land (minority, n = 0)")
    assert {row[where] for row in found["Accuracy by group"].rows} == {"–"}
    assert cell(found["Summary"], "W2S", "n") == "0"
    assert cell(found["Summary"], "W2S", "average") == "–"
    assert cell(found["Summary"], "W2S", "worst group") != "–"
