"""What a report says once for all its setups: the networks, the methods, how to read it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.methods import METHODS
from w2s_groups.methods.variants import PER_FEATURE, SCALE, base_of
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, IMAGE, noun_of
from w2s_groups.results.method_facts import method_label, method_order
from w2s_groups.results.stats import FEWEST


def of_all(settings: Mapping[str, Any]) -> list[Section]:
    """Everything that no single setup owns."""
    return [
        *_pair(settings.get("pair")),
        *_methods(settings),
        *_chosen(settings.get("chosen"), noun_of(settings)),
        *_failed(settings.get("failed")),
        _reading(noun_of(settings)),
        _settings(settings),
    ]


def _pair(pairs: Sequence[Mapping[str, Any]] | None) -> list[Section]:
    """Dimensions of the two networks of each pair, as reports/pair.py lists them."""
    found = []
    for pair in pairs or ():
        rows = []
        for entry in pair["numbers"]:
            value, error = (
                np.nan if entry[k] is None else float(entry[k]) for k in ("value", "error")
            )
            shown = BLANK if np.isnan(value) else f"{value:.4g}"
            if np.isfinite(error) and shown != BLANK:
                shown += f" ± {error:.2g}"
            row = (str(entry["name"]), str(entry["symbol"]), shown, str(entry["definition"]))
            rows.append(row)
        text = (
            f"{pair['teacher']} → {pair['student']}, measured on the pool. d_w, d_s, d_sw are "
            "DLLL25's intrinsic and correlation dimensions; p_w, p_s, p_sw are what LDL25's model "
            "would call the group features, estimated here under its assumptions: compare them "
            "with each other, not with a model's numbers."
        )
        title = "The two networks"
        if len(pairs or ()) > 1:
            title += f": {pair['teacher']} → {pair['student']}"
        if "data" in pair:
            title += f" on {pair['data']}"
        header = ("quantity", "symbol", "value ± standard error", "definition")
        found.append(Section(title, (text,), header=header, rows=tuple(rows)))
    return found


def _failed(rows: Sequence[Mapping[str, Any]] | None) -> list[Section]:
    """Cells that could not be made: in no mean above, and why."""
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
            f"{row['exception']}: {row['reason']}",
        )
        for row in rows
    )
    text = f"{len(rows)} cells failed and are in no number above; a further run tries them again."
    header = ("data", "pair", "η_ℓ", "η_u", "n_ℓ, n_u", "seed", "reason")
    return [Section("Cells that failed", (text,), header=header, rows=shown)]


def _methods(settings: Mapping[str, Any]) -> list[Section]:
    """What each method is, was told and had tuned; nothing of methods unknown here."""
    values: Mapping[str, Mapping[str, Any]] = settings.get("methods") or {}
    by_ridge = settings.get("head") == "ridge"
    path = settings.get("l2_path") if by_ridge else None
    rows, told = [], []
    for name in method_order(values):
        kind = METHODS.get(base_of(name))
        if kind is None:
            continue
        if kind.needs_truth:
            told.append(method_label(name))
        trials: Mapping[str, Any] = (settings.get("trials") or {}).get(name) or {}
        chosen = {key.removesuffix(PER_FEATURE) for key in trials}
        if path or kind.tunes.startswith("l2,"):
            chosen.add("l2")
        fixed_values = {key: v for key, v in values[name].items() if key not in chosen}
        rows.append(
            (
                method_label(name),
                kind.summary,
                kind.needs_groups,
                "the unlabelled set's" if kind.needs_truth else "the labelled set's",
                str(len(fixed_values)),
                ", ".join(f"{key} = {value}" for key, value in fixed_values.items()) or "none",
                "l2, by leave-one-out on the rows it is fitted on"
                if path
                else _trials(trials, settings) or kind.tunes or "nothing",
                kind.paper_tunes or BLANK,
            )
        )
    if not rows:
        return []
    text = f"No method was tuned on test {noun_of(settings)}s."
    if told:
        text += f" True labels of the unlabelled set are read by {', '.join(told)} alone."
    if by_ridge:
        text += " Every head is ridge regression on the labels or scores (head = ridge)."
    if settings.get("head") == "mlp":
        text += " Every head is a network of two layers, trained by Adam (head = mlp)."
    tuning = settings.get("finetune")
    if tuning:
        text += (
            " Every network was trained with its head, from the head on its frozen features on "
            f"(finetune = {tuning['name']})."
        )
    header = (
        "method",
        "what it fits",
        "group labels used",
        "true labels",
        "hyperparameters",
        "fixed beforehand",
        "tuned",
        "its paper tunes",
    )
    return [Section("Methods", (text,), header=header, rows=tuple(rows))]


def _trials(trials: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """`l2 = 10, 1 d / 1000; 2 trials, select = labelled`; empty without trials."""
    if not trials:
        return ""
    shown = []
    for key, values in trials.items():
        unit = SCALE if key.endswith(PER_FEATURE) else 1.0
        listed = ", ".join(f"{v / unit:g}" if isinstance(v, int | float) else v for v in values)
        tail = " d / 1000" if key.endswith(PER_FEATURE) else ""
        shown.append(f"{key.removesuffix(PER_FEATURE)} = {listed}{tail}")
    number = count(math.prod(map(len, trials.values())), "trial")
    return "; ".join([*shown, f"{number}, select = {settings.get('select', 'fixed')}"])


_RULES = {
    "labelled": "nearest to the published setting at l2 = d / 1000 among those within one standard "
    "error of the best accuracy on the labelled {noun}s",
    "val_worst": "the best worst group of validation",
    "val_mean": "the best mean over the groups of validation",
    "no_groups": "the most validation {noun}s right, whatever their group",
}


def _chosen(chosen: Sequence[Mapping[str, Any]] | None, noun: str) -> list[Section]:
    """How often a rule took each variant."""
    if not chosen:
        return []
    rule = str(chosen[0]["method"]).partition("[")[2].rstrip("]")
    best = _RULES.get(rule, rule).format(noun=noun)
    text = (
        f"In each cell the variant with {best} (select = {rule}), of equal ones the nearest to the "
        f"published setting; test {noun}s play no part."
    )
    rows = tuple((str(row["method"]), str(row["variant"]), str(row["cells"])) for row in chosen)
    header = ("method", "variant", "cells in which it was chosen")
    return [Section("What the rule chose", (text,), header=header, rows=rows)]


def _reading(noun: str) -> Section:
    """What the numbers mean, and what their intervals do and do not cover."""
    lines = [
        "Average is the accuracy at a test mix of η_t = 1/2, minority at η_t = 1, majority at "
        "η_t = 0, each exact from the group accuracies. The worst group is the lowest of each run, "
        "then averaged over seeds: in small groups that is biased low, and the summary estimates "
        "by how much.",
        "Intervals are 95 % Student t intervals over seeds unless they are named otherwise; those "
        "of accuracies end at 0 and 1. A seed "
        f"redraws the labelled and the unlabelled set from one fixed pool; the test {noun}s stay. "
        "So they cover the draws under a fixed split of identities, not the choice of test "
        "identities. Intervals per point are not corrected for their number.",
        "Words such as beats, rises or stronger stand where a paired t test over seeds at 5 % says "
        f"so, of {FEWEST} seeds or more; is the best where no other rank is left. On simulated "
        "tables like this one, of 3 to 20 seeds, Student t intervals hold the truth in 94 to 96 % "
        "of cases; where values have a long lower tail, in 88 to 92 %.",
        "A gain is paired: method − teacher in the same cell, positive is better; over W2S is "
        "method − W2S. PGR is (method − teacher) / (ceiling − teacher) of the mean accuracies with "
        "Fieller's interval, blank unless ceiling − teacher is surely positive: its interval above "
        f"0, of {FEWEST} seeds or more.",
    ]
    return Section("How to read this", bullets=tuple(lines))


def _settings(settings: Mapping[str, Any]) -> Section:
    """What the sections above do not show."""
    shown = {
        key: value
        for key, value in settings.items()
        if key not in ("pair", "chosen", "failed", "trials", "unfinished", "noun")
    }
    if noun_of(settings) != IMAGE:
        shown.pop("image_size", None)
    if settings.get("unfinished"):
        shown["jobs of the sweep that are not in this report"] = settings["unfinished"]["jobs"]
    if shown.get("methods"):
        shown["methods"] = {
            name: value for name, value in shown["methods"].items() if base_of(name) not in METHODS
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
