"""The page holds all it needs, forbids the network, escapes every name and draws what is there."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tables import grid_table

from w2s_groups.figures import samples
from w2s_groups.reports import leaderboard
from w2s_groups.reports.page import gains, heat, render, with_samples
from w2s_groups.reports.page.html import asset
from w2s_groups.reports.page.terms import TERMS, pieces
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import of_setup
from w2s_groups.reports.shared import of_all
from w2s_groups.results.pivot import grids

SETTINGS = {"experiment": "leaderboard", "methods": {"selective": {"keep": 0.5}}}
NASTY = (
    "<script>alert(1)</script>",
    '"onmouseover="alert(1)',
    "</script><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "' autofocus onfocus='alert(1)",
)


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(table: pd.DataFrame, settings: dict[str, Any] = SETTINGS) -> str:
    found = grids(table)
    own = [
        (grid, of_setup(grid, "" if grid.index("teacher") is None else "gain.png", settings))
        for grid in found
    ]
    return render(leaderboard.title_of(found, settings), own, of_all(settings), "made")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grid_table()


@pytest.fixture(scope="module")
def html(table: pd.DataFrame) -> str:
    return page(table)


def test_no_name_becomes_markup(table: pd.DataFrame, html: str) -> None:
    for turn in range(len(NASTY)):  # each name in each place that is shown or put in an attribute
        method, group, data, network, value = NASTY[turn:] + NASTY[:turn]
        part = table[(table.seed < 2) & (table.eta_u == 0.5)]
        nasty = part.replace({"method": {"baseline": method}, "group": {"bird-on-land": group}})
        nasty = nasty.assign(data=data, teacher=network, student=network)
        attacked = Elements(page(nasty, {**SETTINGS, "experiment": value, value: value})).found
        tags = [tag for tag, _ in attacked]
        assert "img" not in tags
        assert tags.count("script") == 1
        for tag, attributes in attacked:
            assert not [key for key in attributes if key.startswith("on")], tag
            assert not str(attributes.get("href", "")).startswith("javascript")
        known = {key for _, attributes in Elements(html).found for key in attributes}
        assert {key for _, attributes in attacked for key in attributes} <= known


def test_the_policy_allows_only_what_is_inside(html: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    for tag in ("style", "script"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    for tag, attributes in Elements(html).found:
        assert "style" not in attributes, f"{tag}: the policy would drop it"
        for key in ("src", "srcset", "href", "data", "action", "poster"):
            given = str(attributes.get(key, "#"))
            if tag == "a" and not given.startswith("#"):  # saved or followed only by a click
                assert ("download" in attributes) == given.startswith("data:")
                continue
            assert given.startswith(("#", "data:image/png"))
    outside = re.sub(r'<a href="https://[^"]*"', "", html)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|https?:", outside)


def test_headings_descend_and_ids_are_used_once(table: pd.DataFrame) -> None:
    html = page(pd.concat([table, table.assign(data="digits")]))
    found = Elements(html).found
    levels = [int(tag[1]) for tag, _ in found if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in found:
        for key in ("popovertarget", "for", "aria-controls", "aria-labelledby"):
            assert attributes.get(key) is None or attributes[key] in ids


def test_tabs_are_there_for_two_pairs_only(table: pd.DataFrame, html: str) -> None:
    button = '<button type="button" role="tab"'
    assert button not in html
    assert page(pd.concat([table, table.assign(data="digits")])).count(button) == 2


def test_cells_of_numbers_carry_them_and_others_do_not(html: str) -> None:
    tables = re.findall(r'<table class="sortable">.*?</table>', html, re.DOTALL)
    cells = re.findall(r'<td(?: data-value="([^"]*)")?>([^<, ]+)', "".join(tables))
    assert len(cells) > 100
    for value, shown in cells:
        assert (value == "") == (shown == "–")
        if value:
            assert float(value) == pytest.approx(float(shown.partition("-")[0] or shown), abs=5e-4)


def test_panels_draw_means_and_bands_where_they_are(table: pd.DataFrame) -> None:
    (grid,) = grids(table)
    svg = gains.draw(grid, "p0")
    curves = 4 * 2 * 2  # methods but the teacher, eta_l, metrics
    assert svg.count("<svg") == svg.count('class="own"') == svg.count('class="band"') == curves
    assert svg.count("<circle") == 4 * curves
    assert svg.count('class="zero"') == curves
    assert svg.count('class="ref"') == 3 * 2 * 2
    path = re.search(r'class="own" d="M([\d.]+) ([\d.]+)L', svg)
    assert path is not None
    # Height is linear between the zero line and the first labelled rule.
    first = svg[: svg.index("</svg>")]
    rules = {
        float(label): float(at) - 3.5
        for at, label in re.findall(r'class="end" x="[\d.]+" y="([\d.]+)">([+-]?[\d.]+)<', first)
    }
    (a, at_a), (b, at_b) = sorted(rules.items())[:2]
    value = a + (float(path[2]) - at_a) / (at_b - at_a) * (b - a)
    expected = float(gains.gains(grid, "average")["w2s"].mean[0])
    pixel = abs((b - a) / (at_b - at_a))
    assert value == pytest.approx(expected, abs=0.3 * pixel)  # coordinates have one decimal


def test_one_seed_has_no_band_and_a_gap_stays_a_gap(table: pd.DataFrame) -> None:
    (one,) = grids(table[table.seed == 0])
    assert 'class="band"' not in gains.draw(one, "p0")
    lost = table.copy()
    there = (lost.method == "w2s") & (lost.eta_u == 0.2) & (lost.split == "test")
    lost.loc[there, "value"] = np.nan
    (grid,) = grids(lost)
    panel = gains.draw(grid, "p0").split("</svg>")[0]
    assert panel.count("<circle") == 3
    assert 'class="bar"' in panel  # the lone first point
    assert "nan" not in gains.draw(grid, "p0").lower()


def test_maps_mark_what_holds_zero_and_hide_numbers_only_where_they_do_not_fit() -> None:
    (grid,) = grids(grid_table(seeds=2))
    found = gains.gains(grid, "average")["w2s"]
    html = heat.draw(grid, "p0").split('data-choice="1"')[1]
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    assert len(re.findall(r">\([+-]", body)) == int(found.holds(0.0).sum())
    assert body.count("<td") == len(grid.points)
    etas = tuple(round(0.04 * k, 2) for k in range(1, 13))
    (wide,) = grids(grid_table(eta_l=(0.05,), eta_u=etas, seeds=2))
    assert heat.draw(wide, "p0").count('<b class="hidden">') == 12 * (2 * 4 + 5)


def test_shades_are_symmetric_about_zero_and_rise() -> None:
    kinds = [heat.shade(value, -0.2, 0.2, True) for value in (-0.2, -0.1, 0.0, 0.1, 0.2)]
    assert kinds == ["n5", "n2", "z", "p2", "p5"]
    levels = [heat.shade(v, 0.5, 0.9, False) for v in np.linspace(0.5, 0.9, 50)]
    assert levels[0] == "z"
    assert levels[-1] == "p5"
    assert sorted(levels, key=lambda s: "zp".index(s[0]) * 10 + int(s[1:] or 0)) == levels
    assert heat.shade(float("nan"), 0.0, 1.0, False) == "none"


def _luminance(colour: str) -> float:
    """WCAG 2 relative luminance of #rrggbb."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_every_shade_can_be_read_in_both_themes() -> None:
    css = asset("page.css").text
    pairs = {
        name: (back.split(", "), ink.split(", "))
        for name, back, ink in re.findall(
            r"\.([npzg]\d?) \{ background: (?:light-dark\()?(#[^;)]+)\)?; "
            r"color: (?:light-dark\()?(#[^;)]+)\)?; \}",
            css,
        )
    }
    assert len(pairs) == 11 + 6
    for name, (backs, inks) in pairs.items():
        for back, ink in zip(backs, inks, strict=True):
            low, high = sorted((_luminance(back), _luminance(ink)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_each_term_is_explained_once_a_section_and_in_the_glossary(html: str) -> None:
    seen: set[str] = set()
    parts = pieces("PGR of <W2S>, then PGR again", seen)
    assert [piece.key for piece in parts] == ["pgr", "w2s", ""]
    assert "".join("".join(p._replace(key="")) for p in parts) == "PGR of <W2S>, then PGR again"
    section = render("x", [], [Section("x", ("PGR of <W2S>, then PGR again",))], "made")
    assert section.count('class="term"') == 2
    assert "&lt;" in section
    assert seen == {"pgr", "w2s"}
    for term in TERMS:
        assert html.count(f'id="def-{term.key}"') == 1
        assert re.fullmatch(term.pattern, term.name) or re.match(term.pattern, term.name)


def test_samples_go_into_a_copy_only(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaderboard.write(table, SETTINGS, tmp_path)
    monkeypatch.setattr(samples, "draw", lambda dataset: Figure(figsize=(1, 1)))
    leaderboard.write_samples(SimpleNamespace(name="x"), tmp_path)  # type: ignore[arg-type]
    plain = (tmp_path / "leaderboard.html").read_text()
    copy = (tmp_path / "samples_leaderboard.html").read_text()
    assert "data:image" not in plain
    assert "samples.png" in plain
    sheet = base64.b64encode((tmp_path / "samples.png").read_bytes()).decode()
    assert f'src="data:image/png;base64,{sheet}"' in copy
    assert with_samples(plain, (tmp_path / "samples.png").read_bytes()) == copy


def test_a_table_without_teacher_or_with_an_absent_group_has_a_page(table: pd.DataFrame) -> None:
    assert 'class="own"' not in page(table[table.method != "teacher"])
    assert ">nan" not in page(grid_table(absent="bird-on-land")).lower()


def test_three_by_eight_points_of_eighteen_methods_stay_small() -> None:
    methods = ("teacher", "w2s", "selective", "baseline", "ceiling")
    names = methods + tuple(f"selective[init=w2s,keep=0.{k},q=0.7]" for k in range(1, 14))
    etas = (0.01, 0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5)
    lift = {name: 0.01 * k for k, name in enumerate(names)}
    big = grid_table((0.05, 0.2, 0.5), etas, seeds=2, methods=names, lift=lift)
    assert len(page(big).encode()) < 1_500_000
