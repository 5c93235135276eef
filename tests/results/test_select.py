"""One variant a cell, by validation images alone."""

import pandas as pd
import pytest

from w2s_groups.results.select import Rule, apply, base_of, variant_name

A, B = "selective[keep=0.25]", "selective[keep=0.75]"


def table() -> pd.DataFrame:
    """Two cells; A is best on the worst group, B on the mean and in images, and test disagrees."""
    validation = {A: [(0.6, 10), (0.7, 90)], B: [(0.5, 10), (0.9, 90)]}
    rows = []
    for seed in (0, 1):
        cell = dict.fromkeys(("data", "teacher", "student"), "x") | {
            "n_l": 1, "n_u": 1, "eta_l": 0.1, "eta_u": 0.1, "seed": seed,
        }  # fmt: skip
        for method, test in (("teacher", 0.1), ("selective", 0.2), (A, 0.3), (B, 0.4)):
            rows.append({**cell, "method": method, "split": "test", "value": test, "n": 50})
        for method, atoms in validation.items():
            for value, n in atoms:
                rows.append(
                    {**cell, "method": method, "split": "validation", "value": value, "n": n}
                )
    return pd.DataFrame(rows).assign(metric="accuracy")


def chosen(rule: Rule) -> list[float]:
    found, _ = apply(table(), rule)
    name = "selective" if rule is Rule.fixed else f"selective[{rule.value}]"
    test = found[(found["split"] == "test") & (found["method"] == name)]
    return test.sort_values("seed")["value"].tolist()


def test_each_rule_picks_by_its_own_number_in_every_cell() -> None:
    # A: worst .6, mean .65, 69 of 100 images right. B: .5, .7, 86.
    assert chosen(Rule.fixed) == [0.2, 0.2]
    assert chosen(Rule.val_worst) == [0.3, 0.3]
    assert chosen(Rule.val_mean) == [0.4, 0.4]
    assert chosen(Rule.no_groups) == [0.4, 0.4]


def test_images_outvote_groups_only_where_groups_are_not_told() -> None:
    other = table()
    small = (other["split"] == "validation") & (other["n"] == 10)
    other.loc[small & (other["method"] == A), "value"] = 1.0  # mean .85 against .7; images .73, .86
    for rule, test in ((Rule.val_mean, 0.3), (Rule.no_groups, 0.4)):
        found, _ = apply(other, rule)
        assert set(found.loc[(found["split"] == "test"), "value"]) == {0.1, 0.2, test}


def test_test_accuracies_choose_nothing() -> None:
    other = table()
    test = (other["split"] == "test") & (other["method"] == B)
    other.loc[test, "value"] = 0.0
    _, before = apply(table(), Rule.val_mean)
    _, after = apply(other, Rule.val_mean)
    pd.testing.assert_frame_equal(before, after)


def test_fixed_leaves_the_settings_given_beforehand_and_drops_the_variants() -> None:
    found, counts = apply(table(), Rule.fixed)
    assert set(found["method"]) == {"teacher", "selective"}
    assert counts.empty


def test_what_was_chosen_is_counted_and_a_cell_without_validation_keeps_nothing() -> None:
    lost = table()
    lost = lost[~((lost["seed"] == 1) & (lost["split"] == "validation"))]
    found, counts = apply(lost, Rule.val_worst)
    assert counts.to_dict("records") == [
        {"method": "selective[val_worst]", "variant": A, "cells": 1}
    ]
    assert set(found.loc[found["method"] == "selective[val_worst]", "seed"]) == {0}
    assert set(found.loc[found["method"] == "teacher", "seed"]) == {0, 1}


@pytest.mark.parametrize(("name", "base"), [("w2s", "w2s"), (A, "selective")])
def test_names(name: str, base: str) -> None:
    assert base_of(name) == base
    assert variant_name("selective", {"keep": 0.25}) == A
