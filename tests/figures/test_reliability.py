"""The reliability diagram draws the bins that it is given, a panel a group."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from w2s_groups.figures import reliability


def bins(groups: tuple[str, ...], methods: tuple[str, ...] = ("teacher", "w2s")) -> pd.DataFrame:
    """Two points of each bin, whose sums are what is drawn."""
    rng = np.random.default_rng(0)
    rows = []
    for group in groups:
        for method in methods:
            for k in range(7, 15):
                for eta_u in (0.1, 0.5):
                    n = int(rng.integers(20, 90))
                    rows.append(
                        {
                            "eta_u": eta_u, "method": method, "group": group, "bin": k, "n": n,
                            "confidence": n * (k + 0.5) / 15, "right": float(rng.integers(0, n)),
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("n_groups", [2, 4, 9])
def test_points_are_shares_of_right_decisions_over_all_rows(n_groups: int) -> None:
    groups = tuple(f"class{g // 2}-on-background{g % 2}" for g in range(n_groups))
    table = bins(groups)
    figure = reliability.draw(table, groups, np.arange(n_groups) % 2 == 0, "image")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == n_groups
    for panel, group in zip(panels, groups, strict=True):
        assert panel.get_title().startswith(group)
        own = table[(table["group"] == group) & (table["method"] == "w2s")].groupby("bin").sum()
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in panel.get_lines()]
        expected = (own["right"] / own["n"]).to_numpy()
        assert any(len(y) == len(expected) and np.allclose(y, expected) for y in lines)


def test_everything_lies_inside_and_apart() -> None:
    groups = ("waterbird-on-land", "waterbird-on-water", "landbird-on-land", "landbird-on-water")
    table = bins(groups, ("teacher", "w2s", "selective"))
    figure = reliability.draw(table, groups, np.array([True, False, False, True]), "image")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["teacher", "W2S", "selective"]
    box = legend.get_window_extent()
    assert box.y0 >= 0
    for axes in figure.axes:
        assert axes.xaxis.label.get_window_extent().y0 >= box.y1 - 1
        title = axes.title.get_window_extent()
        assert title.x0 >= 0
        assert title.x1 <= figure.bbox.x1
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(titles))


def test_bins_with_hardly_any_row_are_left_out() -> None:
    table = bins(("a-on-b", "c-on-d"), ("teacher",))
    few = table.iloc[:1].assign(bin=0, n=1, confidence=0.01, right=0.0)
    figure = reliability.draw(
        pd.concat([table, few]), ("a-on-b", "c-on-d"), np.array([True, False]), "text"
    )
    assert min(min(line.get_xdata(), default=1.0) for line in figure.axes[0].get_lines()[1:]) > 0.4
