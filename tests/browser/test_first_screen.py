"""The first screen and the length of a page as long as a real one, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pages import column, unfold
from playwright.sync_api import Browser, Page, expect
from tables import grid_table

from w2s_groups.interface import hydra_config
from w2s_groups.reports import leaderboard
from w2s_groups.results.method_facts import method_order

pytestmark = pytest.mark.browser
LEADERBOARD = hydra_config.conf_dir() / "experiment" / "leaderboard.yaml"
(ASKED, *_) = yaml.safe_load(LEADERBOARD.read_text(encoding="utf-8"))["defaults"]
NAMES = method_order(ASKED["override /methods"])
SETTINGS = {
    "experiment": "suite",
    "data": ["birds_mammals", "digits", "texts"],
    "methods": {name: {"l2": 0.1} for name in NAMES},
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every method on two of three data sets."""
    lift = {name: 0.004 * k for k, name in enumerate(NAMES)}
    table = grid_table(methods=NAMES, lift=lift, seeds=4)
    html = leaderboard.build(pd.concat([table, table.assign(data="digits")]), SETTINGS)
    path = tmp_path_factory.mktemp("suite") / "leaderboard.html"
    content = html["leaderboard.html"]
    assert isinstance(content, str)
    path.write_text(content)
    return path


@pytest.fixture
def shown(browser: Browser, suite: Path) -> Iterator[Page]:
    """The page; afterwards: nothing was complained of, nothing was fetched."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(5000)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
    page.goto(suite.as_uri())
    yield page
    context.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {suite.as_uri()}


def height(page: Page) -> float:
    return float(page.evaluate("document.documentElement.scrollHeight"))


def test_the_page_is_short_on_a_screen_on_a_phone_and_on_paper(shown: Page, tmp_path: Path) -> None:
    assert height(shown) <= 6 * 900
    path = tmp_path / "page.pdf"
    shown.pdf(path=str(path), prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", path.read_bytes())) in range(2, 9)
    shown.set_viewport_size({"width": 390, "height": 844})
    assert height(shown) <= 10 * 844
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    unfold(shown)
    assert height(shown) > 12 * 844  # it was folded


def test_the_result_is_on_the_first_screen_sorted_by_worst_group(shown: Page) -> None:
    for one in (".lead", ".ranked table", ".scatter", ".helps"):
        at = shown.locator(one).first.bounding_box()
        assert at is not None
        assert at["y"] + at["height"] <= 900, one
    box = shown.locator(".ranked .scroll")
    assert box.evaluate("e => e.scrollWidth - e.clientWidth") <= 1  # every column is in sight
    assert "Not in this report: texts" in str(shown.locator(".note").text_content())
    bodies = shown.locator(".ranked tbody")
    assert bodies.count() == 2
    for k in range(2):
        values = (
            bodies.nth(k)
            .locator("tr:not(.point) td:nth-child(3)")
            .evaluate_all("cells => cells.map(cell => Number(cell.dataset.value))")
        )
        assert values == sorted(values, reverse=True)
    shown.locator(".ranked .sort", has_text="average").first.click()
    assert bodies.nth(1).locator("tr").first.get_attribute("class") == "point"


def test_no_more_than_five_tab_stops_lead_to_the_first_control(shown: Page) -> None:
    for _ in range(5):
        shown.keyboard.press("Tab")
        if shown.evaluate("document.activeElement.closest('.ranked .controls') !== null"):
            return
    pytest.fail("no control of the table after five tab stops")


def test_names_in_the_scatter_lie_on_no_other_name_and_on_no_dot(shown: Page) -> None:
    boxes = shown.evaluate(
        """() => [...document.querySelectorAll('.scatter .name, .scatter circle')]
            .map(e => [e.textContent, e.getBBox()])
            .map(([t, b]) => [t, b.x, b.y + 1, b.x + b.width, b.y + b.height - 2])"""
    )
    names = [box for box in boxes if box[0]]
    assert len(names) == len(NAMES)
    for k, (one, x0, y0, x1, y1) in enumerate(names):
        assert x0 >= 0
        assert x1 <= 440
        for two, u0, v0, u1, v1 in names[k + 1 :]:
            assert not (x0 < u1 and u0 < x1 and y0 < v1 and v0 < y1), (one, two)


def test_the_address_keeps_tab_sorting_and_filter(shown: Page) -> None:
    shown.get_by_role("tab").nth(1).click()
    shown.locator("#ranked-labels").select_option("train")
    few = column(shown, 0, ".ranked")
    shown.locator(".ranked .sort", has_text="method").click()
    order = column(shown, 0, ".ranked")
    assert 0 < len(few) < len(NAMES)
    unfold(shown)
    shown.locator("#p1-search").fill("w2s")
    address = shown.evaluate("location.href")  # shown.url may lag behind a replaced state
    shown.goto("about:blank")
    shown.goto(address)
    assert shown.locator("#panel-1").is_visible()
    assert not shown.locator("#panel-0").is_visible()
    assert column(shown, 0, ".ranked") == order
    assert shown.locator("#p1-search").input_value() == "w2s"
    assert shown.locator("#p1-search").is_visible()


def test_a_link_to_a_heading_opens_what_holds_it(shown: Page) -> None:
    shown.evaluate("location.hash = 'p1-leaderboard'")
    assert shown.locator("#panel-1 .filterable table").is_visible()
    expect(shown.locator("#p1-leaderboard")).to_be_in_viewport()  # where the page moves to smoothly


@pytest.mark.parametrize(("label", "start"), [
    ("CSV", "method,reference,"), ("LaTeX", r"\begin{tabular}"), ("BibTeX", "@misc{liu2026"),
])  # fmt: skip
def test_the_buttons_save_files_that_the_page_holds(shown: Page, label: str, start: str) -> None:
    with shown.expect_download() as saved:
        shown.locator(".save", has_text=label).click()
    assert saved.value.path().read_text().startswith(start)
