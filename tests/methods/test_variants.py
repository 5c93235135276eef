"""Variants as data: names that tell settings apart, and a total order of nearness."""

import itertools
import random

import pytest

from w2s_groups.methods.variants import (
    Variant,
    at_scale,
    expand,
    nearest_first,
    of_settings,
    width_of,
)

PUBLISHED = {"l2": 1e-3, "keep": 0.5, "q": 0.7, "init": "zero"}


def one(**settings: float | str) -> Variant:
    return Variant("selective", settings, trial=True)


def test_close_settings_have_names_of_their_own() -> None:
    values = [0.3, 0.1234567, 0.12345671, 1e-5, 3, 3.5]
    names = {one(keep=value).name for value in values}
    assert len(names) == len(values)
    assert {"selective[keep=0.3]", "selective[keep=1e-05]", "selective[keep=3]"} <= names


def test_a_value_per_feature_is_a_multiple_of_the_width() -> None:
    variant = one(l2_per_feature=3e-4, keep=0.7)
    assert variant.resolved(1280) == {"l2": pytest.approx(0.384), "keep": 0.7}


def test_nearness_is_by_ratio_of_l2_then_by_the_other_settings() -> None:
    order = nearest_first(
        [
            one(l2_per_feature=l2, keep=keep)
            for l2 in (3e-4, 1e-3, 1e-2)
            for keep in (0.9, 0.7, 0.5)
        ],
        PUBLISHED,
        1280,
    )
    shown = [(v.settings["l2_per_feature"], v.settings["keep"]) for v in order]
    assert shown == [(l2, keep) for l2 in (1e-3, 3e-4, 1e-2) for keep in (0.5, 0.7, 0.9)]


def test_of_equally_near_ones_the_larger_l2_comes_first_whatever_its_digits() -> None:
    # 0.0001 sorts before 0.01 as text, and 1e-05 after 0.1.
    for low, high in ((1e-4, 1e-2), (1e-5, 1e-1), (5e-4, 2e-3)):
        pair = [one(l2_per_feature=low), one(l2_per_feature=high)]
        for given in (pair, pair[::-1]):
            assert nearest_first(given, PUBLISHED, 1280)[0].settings["l2_per_feature"] == high


def test_an_l2_given_as_a_number_is_measured_by_the_width() -> None:
    given = [one(l2=value) for value in (1e-3, 1e-2, 0.5, 1.0)]
    assert [v.settings["l2"] for v in nearest_first(given, PUBLISHED, 500)] == [
        0.5,
        1.0,
        1e-2,
        1e-3,
    ]
    assert at_scale(one(l2=0.5), PUBLISHED, 500)
    assert not at_scale(one(l2=0.5), PUBLISHED, 1000)
    # Of a table that does not hold the width, the published l2 is the centre.
    assert nearest_first(given, PUBLISHED, None)[0].settings["l2"] == 1e-3


def test_the_order_is_total_and_does_not_depend_on_how_variants_are_listed() -> None:
    values = {"l2_per_feature": [1e-2, 1e-3, 1e-4], "keep": [0.25, 1.0], "init": ["w2s", "zero"]}
    all_of_them = [
        one(**dict(zip(values, chosen, strict=True)))  # type: ignore[arg-type]
        for chosen in itertools.product(*values.values())
    ]
    first = [sorted(v.settings.items()) for v in nearest_first(all_of_them, PUBLISHED, 100)]
    shuffle = random.Random(0)
    for _ in range(20):
        fields = shuffle.sample(list(values), len(values))
        again = [
            one(**{f: v.settings[f] for f in fields})
            for v in shuffle.sample(all_of_them, len(all_of_them))
        ]
        assert [sorted(v.settings.items()) for v in nearest_first(again, PUBLISHED, 100)] == first


def test_settings_name_the_variants_of_a_report() -> None:
    settings = {
        "vary": {"selective": {"keep": [0.3, 0.5]}}, "trials": {"w2s": {"l2_per_feature": [1e-3]}},
        "pair": [{"teacher": "a", "student": "b", "width": {"teacher": 5, "student": 7}}],
    }  # fmt: skip
    found = of_settings(settings)
    assert [(v.name, v.trial) for v in found] == [
        ("selective[keep=0.3]", False),
        ("selective[keep=0.5]", False),
        ("w2s[l2_per_feature=0.001]", True),
    ]
    assert expand({"w2s": {}}, trial=True) == [Variant("w2s", {}, True)]
    assert width_of(settings, ("any", "a", "b"), "w2s") == 7
    assert width_of(settings, ("any", "a", "b"), "teacher") == 5
    assert width_of(settings, ("any", "b", "a"), "w2s") is None
