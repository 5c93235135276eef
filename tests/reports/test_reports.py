"""A report is a function of its table; what it says follows from the numbers; the check notices."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import LIFT, METHODS, grid_table

from w2s_groups.cli import main
from w2s_groups.reports import csv_rows, leaderboard, rebuild
from w2s_groups.reports.methods_table import methods_table
from w2s_groups.results import committed

SETTINGS = {"experiment": "leaderboard", "l2": 0.001, "methods": {"selective": {"keep": 0.5}}}
PAIR = [
    {"name": "similarity", "symbol": "CKA", "value": 0.61234, "error": 0.002, "definition": "lin"},
    {"name": "unknown", "symbol": "p_w", "value": None, "error": None, "definition": "none"},
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grid_table()


def text(files: dict[str, str | bytes], name: str) -> str:
    content = files[name]
    assert isinstance(content, str)
    return content


def test_any_row_order_gives_the_same_text(table: pd.DataFrame) -> None:
    one = leaderboard.build(table, SETTINGS)
    two = leaderboard.build(table.sample(frac=1, random_state=1), SETTINGS)
    assert set(one) == set(two)
    for name in ("leaderboard.md", "leaderboard.csv", "leaderboard.html"):
        assert one[name] == two[name]


def test_numbers_of_the_csv_are_those_of_the_table(table: pd.DataFrame) -> None:
    lines = text(leaderboard.build(table, SETTINGS), "leaderboard.csv").splitlines()
    assert "do not edit" in lines[0]
    header = lines[1].split(",")
    row = dict(zip(header, lines[2].split(","), strict=True))
    here = table[
        (table.eta_l == 0.05) & (table.eta_u == 0.05) & (table.method == "teacher")
        & (table.split == "test") & (table.metric == "accuracy")
    ]  # fmt: skip
    by_group = here.groupby("group").value.mean()
    assert float(row["worst_group"]) == pytest.approx(by_group.min(), abs=1e-6)
    # Two classes, each with one group a side: the average is the mean of the four groups.
    assert float(row["average"]) == pytest.approx(by_group.mean(), abs=1e-6)
    assert row["n_smallest"] == "60"


def test_pair_and_settings_are_shown(table: pd.DataFrame) -> None:
    shown = text(
        leaderboard.build(
            table, {**SETTINGS, "pair": [{"teacher": "t", "student": "s", "numbers": PAIR}]}
        ),
        "leaderboard.md",
    )
    assert "0.6123 ± 0.002" in shown
    assert "The two networks" not in text(leaderboard.build(table, SETTINGS), "leaderboard.md")


def test_methods_say_what_they_are_and_what_was_tuned(table: pd.DataFrame) -> None:
    methods = {"w2s": {"l2": 0.1}, "selective": {"l2": 0.1, "keep": 0.5}, "mine": {"l2": 1}}
    rows = {row[0]: row for row in methods_table({"methods": methods})[0].rows}
    assert set(rows) == {"W2S", "selective"}
    assert rows["selective"][1].startswith("Selective retraining")
    told = ("none", "the labelled set's")
    assert rows["selective"][2:-1] == (*told, "2", "l2 = 0.1, keep = 0.5", "nothing", "–")
    ridge = methods_table({"methods": methods, "head": "ridge", "l2_path": [0.1, 1.0]})[0]
    assert ridge.rows[0][4:-1] == (
        *("0", "none", "l2, by leave-one-out on the rows it is fitted on"),
        "–",
    )
    assert "ridge regression" in ridge.text[0]
    assert methods_table({}) == []
    assert "Methods" in text(leaderboard.build(table, {"methods": methods}), "leaderboard.md")


def test_a_weak_student_is_said_plainly() -> None:
    lift = {**LIFT, "ceiling": -0.05, "w2s": -0.1}
    summary = leaderboard.summary_text(grid_table(lift=lift), {})
    assert "the student is not the stronger model" in summary
    assert "W2S falls short of its teacher" in summary
    strong = leaderboard.summary_text(grid_table(), {})
    assert "The student is the stronger model" in strong


def test_one_seed_has_no_intervals_and_says_so() -> None:
    files = leaderboard.build(grid_table(eta_l=(0.05,), eta_u=(0.5,), seeds=1), SETTINGS)
    shown = text(files, "leaderboard.md")
    assert shown.lower().count("one seed") == 1
    assert "nan" not in shown.lower()
    summary = leaderboard.summary_text(grid_table(eta_l=(0.05,), eta_u=(0.5,), seeds=1), {})
    assert summary.lower().count("one seed") == 1


def test_two_seeds_give_means_and_no_verdict() -> None:
    apart = {**LIFT, "w2s": 0.2, "selective": 0.22}
    two, three = (leaderboard.summary_text(grid_table(seeds=s, lift=apart), {}) for s in (2, 3))
    for verb in ("beats", "falls short", "rises", "falls at", "The student is the", "is the best"):
        assert verb not in two
    assert "W2S differs from its teacher" in two
    assert "ranks 1 to 2 remain open)" in two
    assert "A test needs at least 3 seeds with all their runs; here are 2." in two
    assert "W2S beats its teacher" in three
    assert "A test needs" not in three


def test_every_student_is_held_against_the_teacher_where_there_is_no_w2s() -> None:
    lift = {"teacher": 0.0, "hard": 0.1, "jtt": -0.1}
    for names in (("teacher", "hard"), ("teacher", "hard", "jtt")):
        shown = leaderboard.summary_text(grid_table(methods=names, lift=lift), {})
        assert "hard beats its teacher on average accuracy, +0.09" in shown
        assert ("jtt falls short of its teacher" in shown) == ("jtt" in names)
        assert "holds no" not in shown
    none = leaderboard.summary_text(grid_table(methods=("teacher",), lift=lift), {})
    assert "The table holds no student to compare with a teacher." in none


def test_absent_group_is_blank_not_zero() -> None:
    files = leaderboard.build(grid_table(absent="bird-on-land"), SETTINGS)
    shown = text(files, "leaderboard.md")
    assert "has no row of the group bird-on-land" in shown
    rows = text(files, "leaderboard.csv").splitlines()
    row = dict(zip(rows[1].split(","), rows[2].split(","), strict=True))
    assert row["average"] == ""
    assert float(row["worst_group"]) > 0.3


def test_failed_runs_are_listed_and_in_no_mean(table: pd.DataFrame) -> None:
    lost = table.copy()
    there = (lost.method == "w2s") & (lost.seed == 2) & (lost.eta_u == 0.5) & (lost.split == "test")
    lost.loc[there, "value"] = np.nan
    shown = text(leaderboard.build(lost, SETTINGS), "leaderboard.md")
    assert "η_u = 0.5, W2S, seed 2: no number" in shown
    whole = lost.copy()
    whole.loc[(whole.method == "w2s") & (whole.split == "test"), "value"] = np.nan
    assert "0 of 0" not in leaderboard.summary_text(whole, {})


def test_two_setups_have_a_figure_each(table: pd.DataFrame) -> None:
    both = pd.concat([table, grid_table(data="digits")])
    assert {"gain_vs_eta_u_1.png", "gain_vs_eta_u_2.png"} <= set(leaderboard.build(both, SETTINGS))


def test_unknown_methods_are_shown_too(table: pd.DataFrame) -> None:
    other = table.replace({"method": {"baseline": "my_method"}})
    assert "my_method" in text(leaderboard.build(other, SETTINGS), "leaderboard.md")
    assert METHODS[0] in leaderboard.summary_text(other, {})


@pytest.fixture
def repository(table: pd.DataFrame, tmp_path: Path) -> Path:
    leaderboard.write(table, SETTINGS, tmp_path / "reports/leaderboard/birds")
    (tmp_path / "README.md").write_text(
        "# x\n<!-- leaderboard reports/leaderboard/birds: generated -->\n<!-- end -->\n"
    )
    rebuild.rewrite(tmp_path)
    return tmp_path


def test_the_check_passes_and_the_readme_holds_the_table(repository: Path) -> None:
    assert rebuild.differences(repository) == []
    assert "| 0.05 | 0.5 |" in (repository / "README.md").read_text()
    assert main(["report", "--check", "--root", str(repository)]) == 0


@pytest.mark.parametrize(
    "name", ["leaderboard.md", "leaderboard.csv", "leaderboard.html", committed.NAME, "README.md"]
)
def test_an_altered_file_fails_the_check_and_is_made_again(repository: Path, name: str) -> None:
    folder = repository / "reports/leaderboard/birds"
    path = repository / name if name == "README.md" else folder / name
    before = committed.unpacked(path) if name == committed.NAME else path.read_text()
    digit = re.search(r"0\.[0-9]{3}|[0-9]+\.[0-9]±", before)
    assert digit is not None
    after = before.replace(digit[0], "0.123456")
    path.write_bytes(committed.packed(after) if name == committed.NAME else after.encode())
    assert main(["report", "--check", "--root", str(repository)]) == 1
    if name != committed.NAME:
        assert main(["report", "--root", str(repository)]) == 0
        assert path.read_text() == before


def test_a_missing_figure_fails_the_check(repository: Path) -> None:
    (repository / "reports/leaderboard/birds/gain_vs_eta_u.png").unlink()
    assert any("missing" in line for line in rebuild.differences(repository))


def test_no_report_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--check", "--root", str(tmp_path)]) == 2
    assert "no results.csv.gz" in capsys.readouterr().err


def test_kept_labels_are_pooled_over_images_with_their_number(table: pd.DataFrame) -> None:
    first = table[(table.method == "selective") & (table.split == "test")].drop_duplicates(
        ["eta_l", "eta_u", "seed", "group"]
    )
    here = first[(first.eta_l == 0.05) & (first.eta_u == 0.05) & (first.seed < 2)]
    n = here.seed.map({0: 1, 1: 9})
    right = here.seed.map({0: 0.0, 1: 1.0})
    kept = [
        here.assign(split="kept", metric="accuracy", n=n, value=right),
        here.assign(split="kept", metric="fraction", n=n, value=0.25),
    ]
    shown = text(
        leaderboard.build(pd.concat([table[table.split != "kept"], *kept]), SETTINGS),
        "leaderboard.md",
    )
    assert "0.900 of 10" in shown  # 9 of 10 images, where the mean over two seeds is 0.5


def test_a_readme_shows_the_main_ones_of_many_methods() -> None:
    many = (*METHODS, "hard", "jtt", "afr", "combined")
    block = leaderboard.readme_block(
        grid_table(methods=many, lift={**LIFT, **dict.fromkeys(many[5:], 0.0)}), {}
    )
    assert "| η_ℓ | η_u | teacher | W2S | selective | baseline | ceiling |" in block
    assert "5 of 9 methods" in block


def test_a_readmes_numbers_are_what_its_caption_says(table: pd.DataFrame) -> None:
    """Each with its own interval, as the report's rows have them."""
    block = leaderboard.readme_block(table, {})
    caption, _, numbers = block.partition("\n\n")
    assert "percent" not in caption
    assert max(map(len, caption.splitlines())) <= 100
    cells = {tuple(line.split(" | ")[:2]): line[:-2].split(" | ")[2:]
             for line in numbers.replace("\n| ", "\n").splitlines()[2:]}  # fmt: skip
    for row in csv_rows.rows(leaderboard.selected(table, {})[0]).to_dict("records"):
        shown = cells[row["eta_l"], row["eta_u"]][METHODS.index(row["method"])]
        for name, text in zip(("average", "worst_group"), shown.split(" / "), strict=True):
            mean, half = map(float, text.split("±"))
            low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
            assert mean == pytest.approx(float(row[name]), abs=0.00051)
            assert half == pytest.approx((high - low) / 2, abs=0.00051)


def test_a_readme_of_one_seed_shows_no_intervals() -> None:
    block = leaderboard.readme_block(grid_table(seeds=1), {})
    assert "One seed: no intervals." in block
    assert "±" not in block
