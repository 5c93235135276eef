"""The page in a real Chromium: what a reader does with mouse, keyboard, phone and printer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import column, unfold
from playwright.sync_api import Browser, Page
from tables import LIFT, METHODS, grid_table

from w2s_groups.figures import style
from w2s_groups.reports import leaderboard
from w2s_groups.reports.page import with_samples

pytestmark = pytest.mark.browser
LONG = "selection_only"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets, a long method name, a missing method at one point, a sheet of images."""
    table = grid_table(
        eta_u=(0.05, 0.2, 0.5), methods=(*METHODS, LONG), lift={**LIFT, LONG: 0.02}, seeds=4
    )
    there = (table.method == "selective") & (table.eta_u == 0.2) & (table.split == "test")
    table.loc[there, "value"] = np.nan
    both = pd.concat([table, table.assign(data="digits")])
    html = leaderboard.build(both, {"experiment": "leaderboard"})["leaderboard.html"]
    assert isinstance(html, str)
    path = tmp_path_factory.mktemp("page") / "leaderboard.html"
    path.write_text(with_samples(html, style.png(style.new_figure(2, 1))))
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """A fresh page; afterwards: nothing was asked for but the file, nothing was complained of."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(5000)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
    assert said == []


def test_a_header_sorts_by_number_with_blanks_last(page: Page) -> None:
    unfold(page)
    table = page.locator("#panel-0 .filterable table")
    head = table.get_by_role("columnheader").filter(has_text="gain, average")
    k = int(head.evaluate("h => h.cellIndex"))
    button = head.locator(".sort")
    for direction, sign in (("descending", -1), ("ascending", 1)):
        button.focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == direction
        shown = column(page, k)
        numbers = [float(text.split()[0]) for text in shown if text != "–"]
        assert numbers == sorted(numbers, key=lambda value: sign * value)
        assert min(numbers) < 0.01 < max(numbers)
        assert shown[: len(numbers)] == [text for text in shown if text != "–"]
        assert len(numbers) < len(shown)
    assert table.locator("[aria-sort]").count() == 1
    table.locator(".sort").first.click()
    assert column(page, 0) == sorted(column(page, 0), key=float)


def test_search_and_filters_combine_and_the_count_is_told(page: Page) -> None:
    unfold(page)
    box = page.locator("#panel-0 .filterable")
    status = box.get_by_role("status")
    assert status.text_content() == "36 of 36 rows"
    box.get_by_label("η_ℓ", exact=True).select_option("0.05")
    assert status.text_content() == "18 of 36 rows"
    box.get_by_label("search").fill("SELECTI")
    assert status.text_content() == "6 of 36 rows"
    box.get_by_label("η_u", exact=True).select_option("0.5")
    box.get_by_label("method", exact=True).select_option(LONG)
    assert column(page, 2) == [LONG]
    box.get_by_label("group labels used", exact=True).select_option("none")
    assert status.text_content() == "1 of 36 rows"
    box.get_by_role("button", name="Show all").click()
    assert status.text_content() == "36 of 36 rows"


def test_arrow_keys_move_between_tabs(page: Page) -> None:
    first, second = page.get_by_role("tab").all()
    assert page.locator("#panel-0").is_visible()
    assert not page.locator("#panel-1").is_visible()
    first.focus()
    for key, chosen in (("ArrowRight", 1), ("ArrowRight", 0), ("ArrowLeft", 1), ("Home", 0)):
        page.keyboard.press(key)
        tabs = [tab.get_attribute("aria-selected") for tab in (first, second)]
        assert tabs == [str(k == chosen).lower() for k in range(2)]
        assert page.locator(f"#panel-{chosen}").is_visible()
        assert not page.locator(f"#panel-{1 - chosen}").is_visible()
        assert page.evaluate("document.activeElement.id") == f"tab-{chosen}"


def test_the_switches_choose_metric_and_method(page: Page) -> None:
    unfold(page)
    panel = page.locator("#panel-0")
    for metric, other in (("average", "worst_group"), ("worst_group", "average")):
        panel.locator(f'input[value="{metric}"]').check()
        assert panel.locator(f'[data-metric="{metric}"] svg').first.is_visible()
        assert not panel.locator(f'[data-metric="{other}"] svg').first.is_visible()
    panel.locator(".choose").select_option(label="ceiling")
    maps = [text for text in panel.locator(".heat caption").all() if text.is_visible()]
    assert [text.text_content() for text in maps] == [
        "ceiling: gain, average",
        "ceiling: gain, worst group",
        "ceiling: accuracy, worst group",
    ]


def test_a_word_opens_its_definition_and_escape_closes_it(page: Page) -> None:
    unfold(page)
    word = page.locator("#panel-0 .term").filter(has_text="W2S").first
    word.focus()
    page.keyboard.press("Enter")
    meaning = page.locator("#def-w2s")
    assert meaning.is_visible()
    inside = meaning.bounding_box()
    assert inside is not None
    assert inside["x"] >= 0
    assert inside["x"] + inside["width"] <= 1400
    page.keyboard.press("Escape")
    assert not meaning.is_visible()
    assert page.evaluate("document.activeElement.className") == "term"
    page.locator("#panel-0 .what").first.click()
    assert page.locator(".def:popover-open").count() == 1
    page.locator("h1").click()
    assert page.locator(".def:popover-open").count() == 0


def test_the_theme_is_a_choice_that_stays(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    toggle = page.locator(".theme")
    toggle.click()
    light = page.evaluate(paper)
    assert (dark, light) == ("rgb(22, 24, 29)", "rgb(255, 255, 255)")
    toggle.click()
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) == dark
    page.emulate_media(media="print")
    assert page.evaluate(paper) == light
    page.emulate_media(media="screen")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_theme_is_remembered(browser: Browser, file: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator(".theme").click()
    page.reload()
    assert page.locator(".theme").text_content() == "Theme: light"
    context.close()


def test_a_phone_has_no_sideways_scrolling_and_large_targets(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, summary')]
            .filter(e => e.checkVisibility() && !e.matches('.term'))
            .filter(e => { const r = e.getBoundingClientRect();
                           return r.height < 20 || r.width < 20; })
            .map(e => e.outerHTML)"""
    )
    assert small == []
    page.locator("#panel-0 .what").last.click()
    inside = page.locator(".def:popover-open").bounding_box()
    assert inside is not None
    assert inside["x"] >= 0
    assert inside["x"] + inside["width"] <= 390


def test_print_shows_all_tabs_no_controls_and_whole_tables(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 1046, "height": 900})  # A4 landscape inside its margins
    page.emulate_media(media="print")
    assert page.locator(".print-only").is_visible()
    assert not page.locator("#glossary").is_visible()
    unfold(page)
    assert page.locator("#panel-0").is_visible()
    assert page.locator("#panel-1").is_visible()
    for selector in (".controls", ".tabs", ".theme", ".what", ".skip"):
        assert not any(one.is_visible() for one in page.locator(selector).all()), selector
    assert page.locator("dd").first.is_visible()
    cut = page.evaluate(
        """() => [...document.querySelectorAll('table')].filter(t => t.checkVisibility())
            .filter(t => t.getBoundingClientRect().right > innerWidth + 1)
            .map(t => t.caption.textContent)"""
    )
    assert cut == []
    path = tmp_path / "page.pdf"
    page.pdf(path=str(path), prefer_css_page_size=True)
    assert path.stat().st_size > 50_000


def test_without_scripts_all_is_there(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#panel-0").is_visible()
    assert page.locator("#panel-1 h2").is_visible()
    page.locator("summary", has_text="Leaderboard").last.click()
    assert page.locator("#panel-1 .filterable table").is_visible()
    assert page.locator(".save").first.is_visible()
    assert not page.locator(".tabs").is_visible()
    assert not page.locator("#ranked-labels").is_visible()
    assert page.locator('#panel-0 [data-metric="worst_group"] svg').first.is_visible()
    context.close()


def test_the_skip_link_leads_to_the_results(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").evaluate("e => e.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_axe_finds_nothing(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    unfold(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.emulate_media(color_scheme="dark")  # which changes colours alone
    found = Axe().run(page, options={"runOnly": ["color-contrast"]})
    assert found.violations_count == 0, found.generate_report()
    page.evaluate("document.querySelector('.theme').style.color = '#444'")
    found = Axe().run(page, context="header", options={"runOnly": ["color-contrast"]})
    assert found.violations_count == 1  # the check itself sees a fault


def test_the_policy_stops_what_would_leave_the_page(browser: Browser, file: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        page.goto(file.as_uri())
        image = "new Promise(r => { const i = new Image(); i.onload = i.onerror = r; i.src = a; })"
        page.evaluate(f"a => {image}.then(() => fetch(a).catch(() => null))", address)
        with pytest.raises(BlockingIOError):
            server.accept()
    context.close()
