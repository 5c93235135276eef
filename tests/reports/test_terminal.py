"""The terminal shows a row a method, sorted, within its width, with every name whole."""

from __future__ import annotations

import pandas as pd
import pytest
from tables import LIFT, METHODS, grid_table

from w2s_groups.core.text import WIDTH
from w2s_groups.reports import leaderboard
from w2s_groups.reports.terminal import terminal
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids

LONG = "selective[keep=0.3,q=0.7,init=w2s,labels=teacher]"
CROWD = (*METHODS, "selection_only", "adaptive_confidence", LONG)


@pytest.fixture(scope="module")
def crowd() -> list[Grid]:
    lift = {name: LIFT.get(name, 0.01 * k) for k, name in enumerate(CROWD)}
    return grids(grid_table(methods=CROWD, lift=lift))


@pytest.mark.parametrize("width", [60, 80, 120, 250])
def test_no_line_is_too_wide_and_no_name_is_cut(crowd: list[Grid], width: int) -> None:
    for of in (crowd, [*crowd, *grids(grid_table(data="digits"))]):
        text = terminal(of, {}, width=width)
        assert text.isascii()
        table = text.split("\n\n")[1]
        assert max(map(len, table.splitlines())) <= width
        assert max(map(len, text.splitlines())) <= max(width, WIDTH)
        for name in CROWD:
            shown = "W2S" if name == "w2s" else name
            assert sum(line.split()[0] == shown for line in table.splitlines()) == 1


def test_rows_are_sorted_by_worst_group_references_below(crowd: list[Grid]) -> None:
    rows = terminal(crowd, {}, width=120).split("\n\n")[1].splitlines()
    cut = rows.index("references, not ranked")
    for part in (rows[1:cut], rows[cut + 1 :]):
        worst = [float(line.split()[2].partition("+-")[0]) for line in part]
        assert worst == sorted(worst, reverse=True)
    assert "gain, average" in rows[0]
    assert all(line.split()[1] == "-" for line in rows[cut + 1 :])


def test_the_whole_table_of_points_stands_only_where_it_fits() -> None:
    table = grids(grid_table())
    wide, narrow = (terminal(table, {}, width=width) for width in (80, 70))
    assert wide.count("/0.") == 8 * 5
    assert "/0." not in narrow
    assert "W2S gain, average" in narrow
    assert sum(line.startswith("  0.05 ") for line in narrow.splitlines()) == 4


def test_one_seed_shows_means_only() -> None:
    text = terminal(grids(grid_table(seeds=1)), {}, width=80)
    assert "+-" not in text
    assert "95 %" not in text


def test_several_setups_give_one_table_and_a_sentence_each() -> None:
    both = pd.concat([grid_table(), grid_table(data="digits")])
    text = leaderboard.summary_text(both, {"data": ["birds_mammals", "digits", "texts"]})
    assert text.count("references, not ranked") == 1
    assert "2 data sets (birds_mammals, digits), 2 setups" in text
    assert "Not in this report: texts." in text
    for name in ("birds_mammals", "digits"):
        assert (
            sum(line.startswith(f"{name}, squeezenet -> lite2") for line in text.splitlines()) == 1
        )
