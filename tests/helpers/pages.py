"""What tests do with a page in a browser."""

from __future__ import annotations

from playwright.sync_api import Page


def unfold(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def column(page: Page, k: int, of: str = "#panel-0 .filterable") -> list[str]:
    """Texts of the shown rows of a table, by default the main one in the first tab."""
    texts: list[str] = page.locator(f"{of} tbody tr").evaluate_all(
        "(rows, k) => rows.filter(r => !r.hidden).map(r => r.cells[k].textContent)", k
    )
    return texts
