"""Submitted methods in reports: ranked as others, marked, with the facts of their cards."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pandas as pd
import pytest
from submissions import CARD
from tables import LIFT, METHODS, grid_table

from w2s_groups.reports import leaderboard, places

LIFTS = {**LIFT, "mine": 0.12, "oracle": 0.2}
FACTS = {
    "mine": {**CARD, "name": "mine", "group_labels_used": "val",
             "networks": {"birds_mammals": CARD["networks"]},
             "compute": {"birds_mammals": CARD["compute"]}},
    "oracle": {**CARD, "name": "oracle", "reference": True, "uses_true_labels": True,
               "tuning": {"what": "nothing", "data": "nothing", "trials": 0},
               "networks": {"birds_mammals": CARD["networks"]},
               "compute": {"birds_mammals": CARD["compute"]}},
}  # fmt: skip


def table(**how: Any) -> pd.DataFrame:
    own = grid_table(methods=(*METHODS, *FACTS), lift=LIFTS, **how)
    return own.assign(submitted=own["method"].isin(list(FACTS)))


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    return leaderboard.build(table(), {"submitted": FACTS})


def test_the_pages_mark_it_and_show_its_card(files: dict[str, Any]) -> None:
    page = files["leaderboard.md"]
    summary = page.partition("## Summary")[2].partition("\n## ")[0]
    assert re.search(r"\| mine \(submitted\) \| val \|", summary)
    assert "w2s (submitted)" not in page
    section = page.partition("## Submitted methods")[2].partition("\n## ")[0]
    for text in ("A. Body", "a method", "epochs: 30 trials, on labelled samples", "t → s",
                 "0.5 h on a core", "https://example.org"):  # fmt: skip
        assert text in section
    assert "the unlabelled set's" in section.partition("| oracle")[2].partition("\n")[0]
    assert "submitted" not in page.partition("## Settings")[2]
    assert "Submitted methods" in files["leaderboard.html"]


def test_it_is_ranked_and_a_reference_is_not(files: dict[str, Any]) -> None:
    rows = files["leaderboard.md"].partition("## Summary")[2].splitlines()
    ranks = {cells[1].strip(): cells[4].strip() for line in rows
             if len(cells := line.split("|")) > 6}  # fmt: skip
    assert ranks["mine (submitted)"] == "1"
    assert ranks["oracle (submitted)"] == "–" or not ranks["oracle (submitted)"][0].isdigit()


def test_csv_files_have_a_column_for_it(files: dict[str, Any]) -> None:
    text = files["leaderboard.csv"].partition("\n")[2]
    header, *lines = text.splitlines()
    at, method = header.split(",").index("submitted"), header.split(",").index("method")
    marked = {line.split(",")[method]: line.split(",")[at] for line in lines}
    assert marked["mine"] == "True"
    assert marked["w2s"] == "False"


def test_the_page_offers_the_cards_and_its_own_budget(files: dict[str, Any]) -> None:
    page = files["leaderboard.html"]
    (data,) = re.findall(r'download="cards.json" href="data:[^,"]*,([^"]+)"', page)
    assert json.loads(base64.b64decode(data)) == FACTS
    (ranked,) = re.findall(r'download="ranked.csv" href="data:[^,"]*,([^"]+)"', page)
    lines = base64.b64decode(ranked).decode().splitlines()
    assert lines[0].endswith("group_labels,tuned,submitted")
    assert next(line for line in lines if line.startswith("mine,")).endswith("val,30 trials,True")
    assert next(line for line in lines if line.startswith("w2s,")).endswith("none,fixed,False")


def test_the_terminal_marks_it() -> None:
    text = leaderboard.summary_text(table(seeds=3), {"submitted": FACTS})
    assert "mine (submitted)" in text
    ranked, _, references = text.partition("references, not ranked")
    assert "oracle (submitted)" in references
    assert "oracle" not in ranked


def test_a_suite_ranks_it_too() -> None:
    both = pd.concat([table(seeds=3), table(seeds=3, data="other")])
    page = str(leaderboard.build(both, {"submitted": FACTS})["leaderboard.md"])
    suite = page.partition("## All methods over the suite")[2].partition("\n## ")[0]
    assert re.search(r"\| mine \(submitted\) \| 1 \|.*\| val \| 30 trials \|", suite)


def test_reports_without_one_have_no_trace_of_it() -> None:
    files = leaderboard.build(grid_table(seeds=3), {})
    assert not any("submitted" in str(text).lower() for name, text in files.items()
                   if name.endswith((".md", ".csv")))  # fmt: skip
    assert places.question({"l2": 1, "submitted": FACTS}) == places.question({"l2": 1})
