"""One variant a cell, by labelled or validation images, never by a test image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_groups.results.columns import COLUMNS, filled
from w2s_groups.results.select import (
    NEEDS_GROUPS,
    NEEDS_VALIDATION,
    Rule,
    apply,
    bases,
    choose,
    counted,
    order,
    scaled,
    scores,
    shown,
)

A, B = "selective[keep=0.25]", "selective[keep=0.75]"
VARIED = {"vary": {"selective": {"keep": [0.25, 0.75]}}, "methods": {"selective": {"keep": 0.5}}}
# l2 as a multiple of d, from 10 to 0.01 times d / 1000.
PATH = (1e-2, 1e-3, 1e-4, 1e-5)
TRIALS = {"trials": {"w2s": {"l2_per_feature": list(PATH)}}, "methods": {"w2s": {"l2": 1e-3}}}
GROUPS = (("a", 0, 0), ("b", 0, 1))


def rows(seed: int, method: str, split: str, values: Any, n: Any) -> list[dict[str, Any]]:
    cell = dict.fromkeys(("cell", "data", "teacher", "student"), "x") | {
        "n_l": 1, "n_u": 1, "eta_l": 0.1, "eta_u": 0.1, "seed": seed,
    }  # fmt: skip
    groups = (("all", -1, -1),) if split == "labelled" else GROUPS
    return [
        {
            **cell, "method": method, "split": split, "metric": "accuracy", "group": group, "y": y,
            "a": a, "minority": y != a, "value": value, "n": size,
        }
        for (group, y, a), value, size in zip(groups, values, n, strict=True)
    ]  # fmt: skip


def table() -> pd.DataFrame:
    """Two cells; A is best on the worst group, B on the mean and in images, and test disagrees."""
    validation = {A: (0.6, 0.7), B: (0.5, 0.9)}
    found = []
    for seed in (0, 1):
        for method, test in (("teacher", 0.1), ("selective", 0.2), (A, 0.3), (B, 0.4)):
            found += rows(seed, method, "test", (test, test), (50, 50))
        for method, values in validation.items():
            found += rows(seed, method, "validation", values, (10, 90))
    return filled(pd.DataFrame(found))[list(COLUMNS)]


def labelled(accuracies: dict[str, float], n: int = 100, seeds: int = 1) -> pd.DataFrame:
    """Trials with these labelled accuracies; test accuracies fall as these rise."""
    found = []
    for seed in range(seeds):
        for method in ("teacher", "w2s"):
            found += rows(seed, method, "test", (0.2, 0.2), (50, 50))
        for method, value in accuracies.items():
            found += rows(seed, method, "test", (1 - value, 1 - value), (50, 50))
            found += rows(seed, method, "labelled", (value,), (n,))
    return filled(pd.DataFrame(found))[list(COLUMNS)]


def trial(l2: float) -> str:
    return f"w2s[l2_per_feature={l2:g}]"


def taken(given: pd.DataFrame, settings: dict[str, Any] = TRIALS) -> list[str]:
    chosen = choose(given, Rule.labelled, order(given, settings))
    return list(chosen["method"])


def chosen_by(rule: Rule) -> list[float]:
    found, _ = apply(table(), rule, VARIED)
    test = found[(found["split"] == "test") & (found["method"] == f"selective[{rule.value}]")]
    return list(test.drop_duplicates("seed").sort_values("seed")["value"])


def test_each_rule_picks_by_its_own_number_in_every_cell() -> None:
    # A: worst .6, mean .65, 69 of 100 images right. B: .5, .7, 86.
    assert chosen_by(Rule.val_worst) == [0.3, 0.3]
    assert chosen_by(Rule.val_mean) == [0.4, 0.4]
    assert chosen_by(Rule.no_groups) == [0.4, 0.4]


def test_images_outvote_groups_only_where_groups_are_not_told() -> None:
    other = table()
    small = (other["split"] == "validation") & (other["n"] == 10)
    other.loc[small & (other["method"] == A), "value"] = 1.0  # mean .85 against .7; images .73, .86
    for rule, test in ((Rule.val_mean, 0.3), (Rule.no_groups, 0.4)):
        found, _ = apply(other, rule, VARIED)
        assert set(found.loc[(found["split"] == "test"), "value"]) == {0.1, 0.2, test}


def test_sums_in_another_order_are_a_tie_and_the_nearest_setting_is_taken() -> None:
    """Equal accuracies of other sums differ in the last bit."""
    found = [*rows(0, "teacher", "test", (0.1, 0.1), (50, 50))]
    found += rows(0, "selective", "test", (0.2, 0.2), (50, 50))
    for method, value in ((A, 0.6), (B, 0.6 + 1.2e-16)):
        found += rows(0, method, "test", (0.3, 0.3), (50, 50))
        found += rows(0, method, "validation", (value, value), (10, 90))
    given = filled(pd.DataFrame(found))[list(COLUMNS)]
    ordered = order(given, VARIED)
    nearest = ordered.sort_values("rank")["method"].iloc[0]
    further = {A: B, B: A}[nearest]
    level = given["method"].map({nearest: 0.6, further: 0.6 + 1.2e-16})
    given["value"] = level.where(given["split"] == "validation", given["value"])
    assert list(choose(given, Rule.val_worst, ordered)["method"]) == [nearest]


def test_test_accuracies_choose_nothing() -> None:
    other = table()
    test = (other["split"] == "test") & (other["method"] == B)
    other.loc[test, "value"] = 0.0
    _, before = apply(table(), Rule.val_mean, VARIED)
    _, after = apply(other, Rule.val_mean, VARIED)
    pd.testing.assert_frame_equal(before, after)


def test_fixed_shows_variants_of_vary_as_methods_and_drops_trials() -> None:
    found, chosen = apply(table(), Rule.fixed, VARIED)
    assert set(found["method"]) == {"teacher", "selective", A, B}
    assert chosen.empty
    plain, _ = apply(labelled(dict.fromkeys(map(trial, PATH), 0.8)), Rule.fixed, TRIALS)
    assert set(plain["method"]) == {"teacher", "w2s"}


def test_what_was_chosen_is_counted_and_a_cell_without_validation_keeps_nothing() -> None:
    lost = table()
    lost = lost[~((lost["seed"] == 1) & (lost["split"] == "validation"))]
    found, chosen = apply(lost, Rule.val_worst, VARIED)
    assert counted(chosen, Rule.val_worst) == [
        {
            "rule": "val_worst",
            "method": "selective[val_worst]",
            "variant": A,
            "cells": 1,
        }
    ]
    assert bases(chosen, Rule.val_worst) == {"selective[val_worst]": "selective"}
    assert set(found.loc[found["method"] == "selective[val_worst]", "seed"]) == {0}
    assert set(found.loc[found["method"] == "teacher", "seed"]) == {0, 1}


def test_a_failed_variant_is_not_chosen() -> None:
    lost = table()
    lost.loc[(lost["method"] == A) & (lost["split"] == "validation"), "value"] = np.nan
    chosen = choose(lost, Rule.val_worst, order(lost, VARIED))
    assert set(chosen["method"]) == {B}


@pytest.mark.parametrize(
    ("accuracies", "l2"),
    [
        # se of .9 of 100 is .03: from .87 up, the nearest to 1e-3.
        ((0.90, 0.87, 0.86, 0.85), 1e-3),
        ((0.90, 0.869, 0.86, 0.85), 1e-2),
        ((0.86, 0.86, 0.87, 0.90), 1e-4),
        # Level and equally near: 10 and .1 times d / 1000, the larger.
        ((0.88, 0.80, 0.90, 0.85), 1e-2),
        # All level: the scale itself.
        ((0.90, 0.90, 0.90, 0.90), 1e-3),
        # A best of 1 has no error: only its equals are level.
        ((0.99, 0.99, 1.00, 0.99), 1e-4),
    ],
)
def test_labelled_takes_the_nearest_within_one_standard_error(
    accuracies: tuple[float, ...], l2: float
) -> None:
    given = labelled(dict(zip(map(trial, PATH), accuracies, strict=True)))
    assert taken(given) == [trial(l2)]


def test_more_labelled_images_narrow_what_counts_as_level() -> None:
    accuracies = dict(zip(map(trial, PATH), (0.90, 0.88, 0.86, 0.85), strict=True))
    assert taken(labelled(accuracies, n=100)) == [trial(1e-3)]
    assert taken(labelled(accuracies, n=10_000)) == [trial(1e-2)]


def many(seeds: int = 30) -> pd.DataFrame:
    """Labelled accuracies of many cells, drawn: multiples of 1/40, so that ties are common."""
    rng = np.random.default_rng(0)
    found = labelled(dict.fromkeys(map(trial, PATH), 0.0), 40, seeds)
    mask = found["split"] == "labelled"
    found.loc[mask, "value"] = rng.integers(24, 36, mask.sum()) / 40
    return found


def test_the_labelled_rule_sees_neither_test_images_nor_groups() -> None:
    given = many()
    before, rng = taken(given), np.random.default_rng(1)
    assert len(set(before)) == len(PATH)  # every trial is taken somewhere
    test = given["split"] == "test"
    other = given.copy()
    other.loc[test, "value"] = rng.permutation(other.loc[test, "value"].to_numpy())
    assert taken(other) == before
    for column in ("group", "y", "a", "minority"):
        other[column] = rng.permutation(other[column].to_numpy())
    assert taken(other) == before


def test_the_labelled_rule_depends_on_no_order_and_no_name() -> None:
    given = many()
    before = taken(given)
    assert taken(given.sample(frac=1, random_state=0)) == before
    backwards = {**TRIALS, "trials": {"w2s": {"l2_per_feature": list(PATH[::-1])}}}
    assert taken(given, backwards) == before
    # The same trials under the name of another method.
    other = given.assign(method=given["method"].str.replace("w2s", "hard"))
    settings = {"trials": {"hard": TRIALS["trials"]["w2s"]}, "methods": {"hard": {"l2": 1e-3}}}
    assert [name.replace("hard", "w2s") for name in taken(other, settings)] == before


def test_a_trial_stands_in_the_place_of_its_method() -> None:
    given = labelled(dict(zip(map(trial, PATH), (0.90, 0.80, 0.80, 0.80), strict=True)), seeds=2)
    found, chosen = apply(given, Rule.labelled, TRIALS)
    assert set(found["method"]) == {"teacher", "w2s"}
    w2s = found[(found["method"] == "w2s") & (found["split"] == "test")]
    assert set(w2s["value"].round(12)) == {0.1}
    assert len(w2s) == 4
    assert bases(chosen, Rule.labelled) == {"w2s": "w2s"}
    assert counted(chosen, Rule.labelled) == []


def test_scaled_takes_the_trial_at_the_scale_and_chooses_nothing() -> None:
    given = labelled(dict(zip(map(trial, PATH), (0.90, 0.80, 0.70, 0.60), strict=True)))
    found = scaled(given, TRIALS)
    assert set(found["method"]) == {"teacher", "w2s"}
    assert set(found.loc[(found["method"] == "w2s"), "value"].round(12)) == {0.2, 0.8}
    # Without a trial at the scale a method stays as it was given.
    off = {**TRIALS, "trials": {"w2s": {"l2_per_feature": [1e-2, 1e-4, 1e-5]}}}
    stays = scaled(given[given["method"] != trial(1e-3)], off)
    assert set(stays.loc[stays["method"] == "w2s", "value"]) == {0.2}


def test_scores_are_what_each_rule_says() -> None:
    found = {rule: scores(table(), rule).set_index(["method", "seed"])["score"] for rule in (
        Rule.val_worst, Rule.val_mean, Rule.no_groups)}  # fmt: skip
    for seed in (0, 1):
        assert found[Rule.val_worst][A, seed] == 0.6
        assert found[Rule.val_mean][A, seed] == pytest.approx(0.65)
        assert found[Rule.no_groups][A, seed] == pytest.approx(0.69)
        assert found[Rule.no_groups][B, seed] == pytest.approx(0.86)
    assert {*NEEDS_GROUPS} == {"val_worst", "val_mean"}
    assert {*NEEDS_VALIDATION} == {"val_worst", "val_mean", "no_groups"}


def test_shown_names_what_apply_leaves() -> None:
    for rule in (Rule.fixed, Rule.val_worst, Rule.no_groups):
        after, _ = apply(table(), rule, VARIED)
        names = shown(table(), rule, VARIED)
        assert sorted(names["shown"].unique()) == sorted(after["method"].unique())
        assert len(names) == 2 * names["shown"].nunique()
    names = shown(table(), Rule.val_worst, VARIED)
    assert set(names.loc[names["shown"] == "selective[val_worst]", "method"]) == {A}
    plain = labelled(dict.fromkeys(map(trial, PATH), 0.8))
    assert set(shown(plain, Rule.fixed, TRIALS)["method"]) == {"teacher", "w2s"}
    assert set(shown(plain, Rule.labelled, TRIALS)["shown"]) == {"teacher", "w2s"}
    assert set(shown(plain, Rule.labelled, {})["shown"]) == {"teacher", *map(trial, PATH), "w2s"}


@pytest.mark.parametrize("rule", [Rule.fixed, Rule.val_worst])
@pytest.mark.parametrize("settings", [VARIED, {}])
def test_tables_are_numbered_from_zero_and_have_types_even_where_nothing_varies(
    rule: Rule, settings: dict[str, Any]
) -> None:
    given = table().iloc[::-1]
    ordered = order(given, settings)
    assert [str(ordered[name].dtype) for name in ("trial", "at_scale", "rank")] == [
        "bool", "bool", "int64",
    ]  # fmt: skip
    after, chosen = apply(given, rule, settings)
    for made in (after, ordered, *([chosen] if len(chosen) else [])):
        assert made.index.tolist() == list(range(len(made)))
    if rule is not Rule.fixed and settings:
        assert shown(given, rule, settings).index.tolist() == list(range(6))
