"""Choice among the variants of a method by a rule.

A rule chooses one variant in each cell, from the data of that cell, and never reads a test image.
Of variants with equal scores it takes the one nearest to the published setting
(variants.nearest_first).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.methods.variants import Variant, at_scale, nearest_first, of_settings, width_of
from w2s_groups.results.columns import POINT, RUN, SETUP, filled

CELL = [*SETUP, *POINT, *RUN]


class Rule(Enum):
    """How one variant is chosen in each cell.

    fixed: no choice, settings are those given beforehand. labelled: of the variants within one
    standard error of the best accuracy on the labelled images, whatever their group, the one
    nearest to the published setting at l2 = d / 1000. val_worst: best worst group on validation;
    val_mean: best mean over groups; no_groups: most validation images right, whatever their group.
    """

    fixed = "fixed"
    labelled = "labelled"
    val_worst = "val_worst"
    val_mean = "val_mean"
    no_groups = "no_groups"


NEEDS_GROUPS = frozenset({Rule.val_worst.value, Rule.val_mean.value})
NEEDS_VALIDATION = NEEDS_GROUPS | {Rule.no_groups.value}


def order(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The variants that the settings name, in each setup of the table.

    Columns SETUP, base, method, trial, at_scale (whether its l2 is d / 1000) and rank: 0 is the
    nearest to the published setting.
    """
    of_base: dict[str, list[Variant]] = {}
    for variant in of_settings(settings):
        of_base.setdefault(variant.base, []).append(variant)
    methods = settings.get("methods") or {}
    rows = []
    setups = table[SETUP].drop_duplicates() if of_base else table[SETUP].iloc[:0]
    for setup in setups.itertuples(index=False):
        for base, variants in of_base.items():
            width, published = width_of(settings, setup, base), methods.get(base) or {}
            for rank, one in enumerate(nearest_first(variants, published, width)):
                scale = at_scale(one, published, width)
                rows.append((*setup, base, one.name, one.trial, scale, rank))
    columns = [*SETUP, "base", "method", "trial", "at_scale", "rank"]
    ordered: pd.DataFrame = pd.DataFrame(rows, columns=columns).astype(
        {"trial": bool, "at_scale": bool, "rank": "int64"}
    )
    return ordered


def choose(table: pd.DataFrame, rule: Rule, ordered: pd.DataFrame) -> pd.DataFrame:
    """The variant that `rule` takes in each cell: CELL, base, method, trial.

    A cell has none where the accuracies that the rule reads are missing or all variants failed.
    ordered: as `order` gives it.
    """
    table = filled(table)
    score = scores(table[table["method"].isin(ordered["method"])], rule)
    there = score[np.isfinite(score["score"])].merge(ordered, on=[*SETUP, "method"])
    best = there.groupby([*CELL, "base"])["score"].transform("max")
    slack = 0.0
    if rule is Rule.labelled:
        slack = np.sqrt(np.maximum(best * (1 - best), 0.0) / there["n"])
    level = there[there["score"] >= best - slack - 1e-12]
    first: pd.DataFrame = level.sort_values("rank").drop_duplicates([*CELL, "base"])
    return first[[*CELL, "base", "method", "trial"]].sort_values([*CELL, "base"], ignore_index=True)


def scores(table: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The scores that `rule` compares: CELL, method, score, n.

    A larger score is better; NaN where a run failed.
    """
    table = filled(table)
    split = "labelled" if rule is Rule.labelled else "validation"
    seen = table[(table["split"] == split) & (table["metric"] == "accuracy") & (table["n"] > 0)]
    if rule is Rule.labelled:
        return seen.assign(score=seen["value"])[[*CELL, "method", "score", "n"]]
    right = seen["value"] * seen["n"]
    each = seen.assign(right=right, lost=seen["value"].isna()).groupby([*CELL, "method"])
    summary = each.agg(
        worst=("value", "min"), mean=("value", "mean"), right=("right", "sum"), n=("n", "sum"),
        lost=("lost", "any"),
    ).reset_index()  # fmt: skip
    of_rule = {
        Rule.val_worst: summary["worst"],
        Rule.val_mean: summary["mean"],
        Rule.no_groups: summary["right"] / summary["n"],
    }
    score = of_rule[rule].where(~summary["lost"], np.nan)
    scored: pd.DataFrame = summary.assign(score=score)[[*CELL, "method", "score", "n"]]
    return scored


def apply(
    table: pd.DataFrame, rule: Rule, settings: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table with its variants replaced by those that `rule` chose, and the choice itself.

    The chosen trial stands under the name of its method. The chosen variant of `vary` is one more
    method, named as `shown_name` says. Under `fixed` trials are dropped and variants of `vary` stay
    methods of their own. Second value: as of `choose`.
    """
    table = filled(table)
    ordered = order(table, settings)
    trials = ordered[ordered["trial"]]
    if ordered.empty:
        return table.reset_index(drop=True), ordered
    if rule is Rule.fixed:
        plain = table[~table["method"].isin(trials["method"])]
        return plain.reset_index(drop=True), ordered.iloc[:0]
    chosen = choose(table, rule, ordered)
    gone = {*ordered["method"], *trials["base"]}
    return _with(table, gone, chosen.assign(shown=_names(chosen, rule))), chosen


def shown(table: pd.DataFrame, rule: Rule, settings: Mapping[str, Any]) -> pd.DataFrame:
    """CELL, method and shown: the methods of each cell that `apply` leaves, by both names."""
    table = filled(table)
    entries = table[table["split"] == "test"][[*CELL, "method"]].drop_duplicates()
    entries = entries.assign(shown=entries["method"])
    ordered = order(table, settings)
    trials = ordered[ordered["trial"]]
    if rule is Rule.fixed or ordered.empty:
        return entries[~entries["method"].isin(trials["method"])]
    chosen = choose(table, rule, ordered)
    gone = {*ordered["method"], *trials["base"]}
    taken = chosen.assign(shown=_names(chosen, rule))[[*CELL, "method", "shown"]]
    return pd.concat([entries[~entries["method"].isin(gone)], taken], ignore_index=True)


def _names(chosen: pd.DataFrame, rule: Rule) -> pd.Series:
    """Under which name a report shows each chosen variant."""
    return chosen["base"].where(
        chosen["trial"], chosen["base"].map(lambda base: shown_name(base, rule))
    )


def scaled(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The table with fixed settings at l2 = d / 1000, without the other trials.

    Each method that has such trials stands for the one nearest to its published setting.
    """
    ordered = order(table, settings)
    trials = ordered[ordered["trial"]]
    nearest = trials[trials["at_scale"]].sort_values("rank").drop_duplicates([*SETUP, "base"])
    gone = {*trials["method"], *nearest["base"]}
    return _with(table, gone, nearest.assign(shown=nearest["base"]))


def _with(table: pd.DataFrame, gone: set[str], chosen: pd.DataFrame) -> pd.DataFrame:
    """The table without the methods `gone`, and with the chosen variants as methods `shown`.

    chosen: a row a cell or setup, with the columns method and shown.
    """
    keys = [name for name in (*CELL, "method") if name in chosen]
    taken = table.merge(chosen[[*keys, "shown"]], on=keys)
    taken = taken.assign(method=taken["shown"])[list(table.columns)]
    return pd.concat([table[~table["method"].isin(gone)], taken], ignore_index=True)


def shown_name(base: str, rule: Rule) -> str:
    """Name of the method that stands for the variant of `vary` that a rule chose in each cell."""
    return f"{base}[{rule.value}]"


def counted(chosen: pd.DataFrame, rule: Rule) -> list[dict[str, Any]]:
    """How often each variant of `vary` was chosen: rule, method, variant, cells."""
    varied = chosen[~chosen["trial"].astype(bool)]
    counts = varied.groupby(["base", "method"]).size().reset_index(name="cells")
    return [
        {
            "rule": rule.value,
            "method": shown_name(base, rule),
            "variant": str(name),
            "cells": int(cells),
        }
        for base, name, cells in counts.itertuples(index=False)
    ]


def bases(chosen: pd.DataFrame, rule: Rule) -> dict[str, str]:
    """Methods that stand for a choice, by their name in the table -> the method they belong to."""
    pairs = chosen[["base", "trial"]].drop_duplicates().itertuples(index=False)
    return {base if trial else shown_name(base, rule): base for base, trial in pairs}
