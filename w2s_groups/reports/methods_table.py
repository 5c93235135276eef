"""The methods of a report: their fits, the labels that they use, and their tuning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from w2s_groups.core.text import count
from w2s_groups.methods.variants import PER_FEATURE, SCALE
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, noun_of
from w2s_groups.results.method_facts import Facts, facts, method_label, method_order

_HEADER = (
    "method",
    "what it fits",
    "group labels used",
    "true labels",
    "hyperparameters",
    "fixed beforehand",
    "tuned",
    "its paper tunes",
    "source",
)


def methods_table(settings: Mapping[str, Any]) -> list[Section]:
    """A row for each registered method of the settings; empty without any."""
    values: Mapping[str, Mapping[str, Any]] = settings.get("methods") or {}
    known = {name: own for name in method_order(values) if (own := facts(name)) is not None}
    if not known:
        return []
    rows = tuple(_row(name, own, values[name], settings) for name, own in known.items())
    text = _explanation(known, settings)
    return [Section("Methods", (text,), header=_HEADER, rows=rows)]


def _row(
    name: str, kind: Facts, values: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[str, ...]:
    by_path = settings.get("head") == "ridge" and settings.get("l2_path")
    trials: Mapping[str, Any] = (settings.get("trials") or {}).get(name) or {}
    tuned = {key.removesuffix(PER_FEATURE) for key in trials}
    if by_path or kind.tunes.startswith("l2,"):
        tuned.add("l2")
    fixed = {key: value for key, value in values.items() if key not in tuned}
    path = "l2, by leave-one-out on the rows it is fitted on"
    return (
        method_label(name),
        kind.summary,
        kind.needs_groups,
        "the unlabelled set's" if kind.needs_truth else "the labelled set's",
        str(len(fixed)),
        ", ".join(f"{key} = {value}" for key, value in fixed.items()) or "none",
        path if by_path else _trials(trials, settings) or kind.tunes or "nothing",
        kind.paper_tunes or BLANK,
        "; ".join([*kind.sources, *([kind.origin] if kind.origin else [])]),
    )


def _explanation(known: Mapping[str, Facts], settings: Mapping[str, Any]) -> str:
    text = f"No method was tuned on test {noun_of(settings)}s."
    readers = [method_label(name) for name, own in known.items() if own.needs_truth]
    if readers:
        text += f" True labels of the unlabelled set are read only by {', '.join(readers)}."
    if settings.get("task") == "regression":
        text += " Every head is ridge regression on the numeric target (task = regression)."
    elif settings.get("head") == "ridge":
        text += " Every head is ridge regression on the labels or scores (head = ridge)."
    if settings.get("head") == "mlp":
        text += " Every head is a network of two layers, trained by Adam (head = mlp)."
    if finetune := settings.get("finetune"):
        inside = finetune.get("head") == "inside"
        start = "a head of zeros" if inside else "the head on its frozen features"
        text += (
            f" Every network was trained with its head, starting from {start} "
            f"({_tuning(finetune)})."
        )
    return text


def _tuning(settings: Mapping[str, Any]) -> str:
    """`finetune = subspace, d = 100, head inside`: its name, and what sets its result apart."""
    parts = [f"finetune = {settings['name']}"]
    if "d" in settings:
        parts.append(f"d = {settings['d']}, head {settings['head']} of θ0 + P z")
    if "scale" in settings:
        parts.append(f"α = {settings['scale']:g}")
    return ", ".join(parts)


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
