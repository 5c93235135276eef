"""Choice among a method's variants, on validation images: the one place where it is made.

A variant is a method whose name carries its settings, such as `selective[keep=0.3,q=0.7]`. A rule
picks one in each cell, as somebody with that one draw would, and never looks at a test image.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from w2s_groups.results.schema import POINT, SETUP

CELL = [*SETUP, *POINT, "seed"]


class Rule(Enum):
    """fixed: the settings given beforehand. val_worst: best worst group on validation; val_mean:
    best mean over groups; no_groups: most validation images right, whatever their group."""

    fixed = "fixed"
    val_worst = "val_worst"
    val_mean = "val_mean"
    no_groups = "no_groups"


NEEDS_GROUPS = frozenset({Rule.val_worst.value, Rule.val_mean.value})


def variant_name(method: str, chosen: Mapping[str, Any]) -> str:
    """`selective[keep=0.3,q=0.7]`."""
    shown = (f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in chosen.items())
    return f"{method}[{','.join(shown)}]"


def base_of(name: str) -> str:
    """The method that a variant is one of; the name itself where it is none."""
    return name.partition("[")[0]


def told_groups(name: str) -> bool:
    """Whether the rule in a name such as `selective[val_worst]` reads groups of validation data."""
    return name.partition("[")[2].rstrip("]") in NEEDS_GROUPS


def apply(table: pd.DataFrame, rule: Rule) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table with its variants replaced by what `rule` makes of them, and what was chosen.

    The variants of a method give way to one method named such as `selective[val_worst]`: in each
    cell the variant that `rule` prefers, of equal ones the first by name. A cell without validation
    atoms has none. Under `fixed` variants are only dropped. Second value: method, variant, cells.
    """
    is_variant = table["method"].str.contains("[", regex=False)
    plain = table[~is_variant]
    empty = pd.DataFrame({"method": [], "variant": [], "cells": []})
    if rule is Rule.fixed or not is_variant.any():
        return plain, empty
    variants = table[is_variant].assign(base=lambda t: t["method"].map(base_of))
    seen = variants[(variants["split"] == "validation") & (variants["metric"] == "accuracy")]
    score = seen.groupby([*CELL, "base", "method"], sort=True)[["value", "n"]].apply(
        lambda atoms: _score(atoms["value"].to_numpy(), atoms["n"].to_numpy(), rule)
    )
    best = score.reset_index(name="score").sort_values(
        [*CELL, "base", "score", "method"], ascending=[True] * (len(CELL) + 1) + [False, True]
    )
    chosen = best.drop_duplicates([*CELL, "base"])[[*CELL, "base", "method"]]
    rows = variants.merge(chosen, on=[*CELL, "base", "method"])
    rows = rows.assign(method=rows["base"] + f"[{rule.value}]")[list(table.columns)]
    counts = chosen.groupby(["base", "method"]).size().reset_index(name="cells")
    counts.columns = pd.Index(["method", "variant", "cells"])
    counts["method"] += f"[{rule.value}]"
    return pd.concat([plain, rows], ignore_index=True), counts


def _score(value: Any, n: Any, rule: Rule) -> float:
    there = n > 0
    if not there.any() or np.isnan(value[there]).any():
        return -np.inf
    if rule is Rule.val_worst:
        return float(value[there].min())
    if rule is Rule.val_mean:
        return float(value[there].mean())
    return float((value * n)[there].sum() / n[there].sum())
