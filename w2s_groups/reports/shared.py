"""Sections that all setups of a report share: networks, methods, choices, failures, reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from w2s_groups.reports.excess import reading_of_risks
from w2s_groups.reports.methods_table import methods_table
from w2s_groups.reports.section import Section
from w2s_groups.reports.submitted import submitted_methods
from w2s_groups.results import failures
from w2s_groups.results.format import BLANK, IMAGE, noun_of
from w2s_groups.results.method_facts import PLUGINS, facts
from w2s_groups.results.stats import FEWEST


def of_all(settings: Mapping[str, Any]) -> list[Section]:
    """Everything that is not about a single setup."""
    return [
        *_pair(settings.get("pair")),
        *methods_table(settings),
        *submitted_methods(settings),
        *_chosen(settings.get("chosen"), noun_of(settings)),
        *_failed(settings.get("failed")),
        reading_of_risks(noun_of(settings))
        if settings.get("task") == "regression"
        else reading(noun_of(settings), "splits" in settings),
        _settings(settings),
    ]


def _pair(pairs: Sequence[Mapping[str, Any]] | None) -> list[Section]:
    """Measured dimensions of the two networks of each pair."""
    pairs = pairs or ()
    header = ("quantity", "symbol", "value ± standard error", "definition")
    sections = []
    for pair in pairs:
        rows = tuple(
            (str(entry["name"]), str(entry["symbol"]), _measured(entry), str(entry["definition"]))
            for entry in pair["numbers"]
        )
        text = (
            f"{pair['teacher']} → {pair['student']}, measured on the pool. d_w, d_s, d_sw are "
            "DLLL25's intrinsic and correlation dimensions; p_w, p_s, p_sw are what LDL25's model "
            "would call the group features, estimated here under its assumptions: compare them "
            "with each other, not with a model's numbers."
        )
        title = "The two networks"
        if len(pairs) > 1:
            title += f": {pair['teacher']} → {pair['student']}"
        if "data" in pair:
            title += f" on {pair['data']}"
        sections.append(Section(title, (text,), header=header, rows=rows))
    return sections


def _measured(entry: Mapping[str, Any]) -> str:
    """`12.5 ± 0.3`; only the value where there is no error."""
    value, error = (np.nan if entry[k] is None else float(entry[k]) for k in ("value", "error"))
    if np.isnan(value):
        return BLANK
    return f"{value:.4g} ± {error:.2g}" if np.isfinite(error) else f"{value:.4g}"


def _failed(rows: Sequence[Mapping[str, Any]] | None) -> list[Section]:
    """Cells that failed, with the reason; no mean contains them."""
    if not rows:
        return []
    shown = tuple(
        (
            str(row["data"]),
            f"{row['teacher']} → {row['student']}",
            f"{row['eta_l']:g}",
            f"{row['eta_u']:g}",
            f"{row['n_l']}, {row['n_u']}",
            str(row["seed"]),
            failures.why(row),
        )
        for row in rows
    )
    again, parts = "a further run tries them again.", []
    partly = sum(failures.is_partial(row) for row in rows)
    if partly < len(rows):
        parts.append(f"{len(rows) - partly} cells failed and are in no number above; {again}")
    if partly:
        parts.append(
            f"In {partly} cells methods failed, which have no number there, and the others have; "
            f"{again}"
        )
    text = " ".join(parts)
    header = ("data", "pair", "η_ℓ", "η_u", "n_ℓ, n_u", "seed", "reason")
    return [Section("Cells that failed", (text,), header=header, rows=shown, labels=6)]


_RULES = {
    "labelled": "an accuracy on the labelled {noun}s within one standard error of the best",
    "val_worst": "the best worst group on the validation set",
    "val_mean": "the best mean over the groups of the validation set",
    "no_groups": "the best accuracy on the validation set, groups not distinguished",
}


def _chosen(chosen: Sequence[Mapping[str, Any]] | None, noun: str) -> list[Section]:
    """How often a rule took each variant."""
    if not chosen:
        return []
    rule = str(chosen[0]["rule"])
    best = _RULES[rule].format(noun=noun)
    text = (
        f"In each cell the variant with {best} (select = {rule}); of several the one nearest to "
        f"the published setting. The choice reads no test {noun}."
    )
    rows = tuple((str(row["method"]), str(row["variant"]), str(row["cells"])) for row in chosen)
    header = ("method", "variant", "cells in which it was chosen")
    return [Section("What the rule chose", (text,), header=header, rows=rows)]


_ONE = (
    "Intervals are 95 % Student t intervals over seeds unless they are named otherwise. A seed "
    "redraws the labelled and the unlabelled set from one fixed pool; the test {noun}s stay. So "
    "intervals cover the draws under a fixed split of identities, not the choice of test "
    "identities."
)
_SEVERAL = (
    "Intervals are of 95 % and hold for more than the draws: the section on what they hold for "
    "says how they are made. Those without a contrast of group accuracies, such as PGR's and of "
    "the rules' costs, are corrected resampled t intervals, which are wider."
)


def reading(noun: str, several: bool = False) -> Section:
    """Meaning of the numbers and their intervals. several: whether the run has several splits."""
    words = (
        "Words such as beats, rises or stronger are used where the test that belongs to the "
        "interval is significant at 5 %; is the best where no other rank remains open."
        if several
        else "Words such as beats, rises or stronger are used where a paired t test over seeds is "
        f"significant at 5 %, with {FEWEST} seeds or more; is the best where no other rank remains "
        "open. On simulated tables like this one, of 3 to 20 seeds, Student t intervals cover the "
        "true value in 94 to 96 % of cases; where values have a long lower tail, in 88 to 92 %."
    )
    lines = [
        "Average is the accuracy at a test mix of η_t = 1/2, minority at η_t = 1, majority at "
        "η_t = 0, each exact from the group accuracies. Worst group is the accuracy of the group "
        "that is lowest on average over the runs of a point. Where groups are about equally hard "
        "it is a little too low.",
        f"{_SEVERAL if several else _ONE.format(noun=noun)} Those of accuracies end at 0 and 1. "
        "Intervals per point are not corrected for their number.",
        words,
        "A gain is paired: method − teacher in the same cell, positive is better; over W2S is "
        "method − W2S. PGR is (method − teacher) / (ceiling − teacher) of the mean accuracies with "
        "Fieller's interval. It is blank unless ceiling − teacher is significantly positive: its "
        f"interval lies above 0, with {FEWEST} seeds or more.",
    ]
    return Section("How to read this", bullets=tuple(lines))


def _settings(settings: Mapping[str, Any]) -> Section:
    """Settings that the sections above do not show."""
    shown = {
        key: value
        for key, value in settings.items()
        if key not in ("pair", "chosen", "failed", "trials", "unfinished", "noun", "submitted")
    }
    if noun_of(settings) != IMAGE:
        shown.pop("image_size", None)
    if settings.get("unfinished"):
        shown["jobs of the sweep that are not in this report"] = settings["unfinished"]["jobs"]
    if shown.get("methods"):
        shown["methods"] = {
            name: value for name, value in shown["methods"].items() if facts(name) is None
        }
    if shown.get(PLUGINS):  # the table of methods shows what they are
        shown[PLUGINS] = {
            name: f"{own.get('origin', '')}, code {own.get('code', '')}"
            for name, own in shown[PLUGINS].items()
        }
    rows = tuple((key, value) for key, value in _flat("", shown) if value)
    return Section("Settings", header=("setting", "value"), rows=rows)


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        items = [_flat(f"{prefix}.{key}" if prefix else str(key), value[key]) for key in value]
        return [pair for item in items for pair in item]
    if isinstance(value, list | tuple):
        return [(prefix, ", ".join(str(item) for item in value))]
    return [(prefix, "" if value is None else str(value))]
