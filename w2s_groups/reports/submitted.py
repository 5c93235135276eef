"""The methods of a report that were trained elsewhere, as their cards say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2s_groups.core.text import count
from w2s_groups.reports.section import Section
from w2s_groups.results.format import noun_of
from w2s_groups.results.method_facts import method_label

_HEADER = (
    "method",
    "authors",
    "what it is",
    "group labels used",
    "true labels",
    "tuned",
    "networks",
    "compute",
    "url",
)


def submitted_methods(settings: Mapping[str, Any]) -> list[Section]:
    """A row for each submitted method of the settings; empty without any."""
    cards: Mapping[str, Mapping[str, Any]] = settings.get("submitted") or {}
    if not cards:
        return []
    text = (
        "These were trained elsewhere, on the draws of this report. Their authors handed in a "
        f"class for every test {noun_of(settings)} of every cell and a card, from which this table "
        "is; accuracies are counted here with the labels of the data set. Whether a card is true "
        "was not checked."
    )
    rows = tuple(_row(name, card) for name, card in sorted(cards.items()))
    return [Section("Submitted methods", (text,), header=_HEADER, rows=rows)]


def _row(name: str, card: Mapping[str, Any]) -> tuple[str, ...]:
    tuning = card["tuning"]
    tuned = f"{tuning['what']}: {count(tuning['trials'], 'trial')}, on {tuning['data']} samples"
    return (
        method_label(name),
        ", ".join(card["authors"]),
        card["summary"],
        card["group_labels_used"],
        "the unlabelled set's" if card["uses_true_labels"] else "the labelled set's",
        tuned if tuning["trials"] else "nothing",
        _by_data(card["networks"], lambda of: f"{of['teacher']} → {of['student']}"),
        _by_data(card["compute"], lambda of: f"{of['hours']:g} h on {of['hardware']}"),
        card["url"],
    )


def _by_data(values: Mapping[str, Any], shown: Any) -> str:
    """What each dataset has; once where all have the same."""
    texts = {data: shown(of) for data, of in values.items()}
    if len(set(texts.values())) == 1:
        return str(next(iter(texts.values())))
    return "; ".join(f"{data}: {text}" for data, text in texts.items())
