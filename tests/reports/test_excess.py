"""The report of a numeric target: signs, units, references, and no word about accuracy."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tables import grid_table

from w2s_groups.reports import leaderboard
from w2s_groups.reports.by_group import by_group
from w2s_groups.reports.excess import above_reference, excess
from w2s_groups.reports.page.tables import view
from w2s_groups.reports.sections import of_setup
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids

SETTINGS: dict[str, Any] = {
    "experiment": "leaderboard", "task": "regression", "head": "ridge",
    "methods": {name: {"l2": 0.1} for name in ("teacher", "w2s", "baseline", "ceiling")},
}  # fmt: skip


def risk_table(scale: float = 1.0) -> pd.DataFrame:
    """The table of accuracies with (1 - accuracy) times `scale` for a risk."""
    table = grid_table(methods=("teacher", "w2s", "baseline", "ceiling"))
    read = table["metric"] == "accuracy"
    table.loc[read, "value"] = scale * (1 - table.loc[read, "value"])
    table.loc[read, "metric"] = "risk"
    return table


def numbers(cell: str) -> float:
    return float(re.split(r" |±", cell)[0])


def rows_of(grid: Grid, target: dict[str, float]) -> dict[str, dict[str, str]]:
    """Method -> column -> cell of the section on excess risks."""
    [section] = excess(grid, {"target": {grid.data: target}})
    return {row[0]: dict(zip(section.header, row, strict=True)) for row in section.rows}


def test_excess_over_a_known_noise_is_the_risk_less_it() -> None:
    (grid,) = grids(risk_table())
    table = rows_of(grid, {"variance": 2.0, "noise": 0.1})
    for row in table.values():
        for name in ("average", "worst group", "best group"):
            expected = numbers(row[f"risk, {name}"]) - 0.1
            assert numbers(row[f"excess, {name}"]) == pytest.approx(expected, abs=1.1e-3)
        assert numbers(row["risk, worst group"]) > numbers(row["risk, average"])
        share = numbers(row["risk, average"]) / 2
        assert numbers(row["average / variance"]) == pytest.approx(share, abs=1e-3)
    assert numbers(table["teacher"]["risk, average"]) > numbers(table["W2S"]["risk, average"])


def test_excess_over_the_ceiling_is_taken_in_each_cell() -> None:
    (grid,) = grids(risk_table())
    above = above_reference(grid, None)
    assert above is not None
    risk, ceiling = -grid.accuracy, grid.index("ceiling")
    np.testing.assert_allclose(-above, risk - risk[:, ceiling, None])
    table = rows_of(grid, {"variance": 2.0})
    assert table["ceiling"]["excess, average"] == "–"
    each = (risk - risk[:, ceiling, None])[:, 0].mean(axis=1)  # (P, G)
    expected = each.max(axis=-1).mean()
    assert numbers(table["teacher"]["excess, worst group"]) == pytest.approx(expected, abs=1e-3)


def test_without_a_reference_there_is_no_excess() -> None:
    table = risk_table()
    (grid,) = grids(table[table["method"] != "ceiling"])
    [section] = excess(grid, {})
    assert not any("excess" in name for name in section.header)
    assert "Without the ceiling" in section.text[1]


def test_a_report_of_accuracies_has_no_such_section() -> None:
    (grid,) = grids(grid_table())
    assert excess(grid, {}) == []


def test_a_report_of_risks_speaks_of_risks() -> None:
    """Every page of it: the better method has the lower risk and a positive gain."""
    table = risk_table(3000.0)
    settings = {**SETTINGS, "target": {"birds_mammals": {"variance": 3000.0}}}
    files = leaderboard.build(table, settings)
    texts = {
        "page": str(files["leaderboard.md"]),
        "terminal": leaderboard.summary_text(table, settings),
        "readme": leaderboard.readme_block(table, settings),
        "html": re.sub(r"(?s)<(script|style).*?</\1>", "", str(files["leaderboard.html"])),
    }
    for name, text in texts.items():
        assert "accurac" not in text.lower(), name
        assert "Wilson" not in re.sub(r"(?s)<dl.*", "", text), name
        assert "units of 100" in " ".join(text.split()), name
    assert "W2S beats its teacher on average risk, +" in texts["page"]
    assert "Risk by group" in texts["page"]


@pytest.mark.parametrize("table", [risk_table(), grid_table()], ids=["risks", "accuracies"])
def test_the_page_sorts_the_best_level_and_the_largest_gain_first(table: pd.DataFrame) -> None:
    (grid,) = grids(table)
    [section] = [one for one in of_setup(grid, "", SETTINGS) if one.title == "Leaderboard"]
    flat = replace(section, keys=0)  # as the page shows it
    first = {column.name: column.first for column in view(flat, "main").columns}
    best = "descending" if grid.measure.is_share else "ascending"
    assert {first[name] for name in ("average", "worst group", "minority", "majority")} == {best}
    assert first["gain, worst group"] == "descending"


def test_risks_by_group_have_both_sources_of_uncertainty() -> None:
    table = risk_table()
    errors = table[(table["split"] == "test") & (table["metric"] == "risk")]
    errors = errors.assign(metric="risk_error", value=0.01)
    (grid,) = grids(pd.concat([table, errors]))
    section = by_group(grid)
    of = {(row[0], row[1]): row[2:] for row in section.rows}
    for cell in of["test images (Student t on n)", "teacher"]:
        mean, low, high = map(float, re.findall(r"[\d.]+", cell))
        assert high - mean == pytest.approx(stats.t.ppf(0.975, 59) * 0.01, abs=1.1e-3)
        assert mean - low == pytest.approx(high - mean, abs=1.1e-3)


def test_leaderboard_csv_names_the_unit_of_risks() -> None:
    table = risk_table(3000.0)
    csv = str(leaderboard.build(table, SETTINGS)["leaderboard.csv"]).splitlines()
    head, first = csv[1].split(","), csv[2].split(",")
    row = dict(zip(head, first, strict=True))
    mean = table.query("split == 'test' and method == 'teacher' and eta_l == .05 and eta_u == .05")
    found = float(row["balanced_mean"]) * float(row["unit"])
    assert found == pytest.approx(mean["value"].mean(), rel=1e-5)
