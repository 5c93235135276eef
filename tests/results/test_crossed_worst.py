"""The worst group of crossed folds: which ends it takes, ties, gaps and groups without an error."""

from __future__ import annotations

from dataclasses import replace

import crossed_worlds
import numpy as np
import pytest
from scipy import stats as reference

from w2s_groups.results import crossed
from w2s_groups.results.crossed import Crossed
from w2s_groups.results.crossed_worst import (
    group_interval,
    mean_over_points,
    worst_group_contrasts,
    worst_group_differences,
    worst_group_interval,
)


def table(seed: int, scenario: str = "two near", points: int = 2) -> Crossed:
    world = crossed_worlds.World(crossed_worlds.SCENARIOS[scenario])
    return world.people(np.random.default_rng(seed)).crossed(points)


def test_it_is_the_lowest_of_the_ends_of_groups_on_the_angular_scale() -> None:
    c = table(0)
    found, accuracy = worst_group_interval(c), crossed.group_accuracy(c)
    groups = group_interval(c)
    np.testing.assert_array_equal(groups.mean, accuracy)
    np.testing.assert_array_equal(groups.low.min(axis=-1), found.low)
    assert (groups.high.min(axis=-1) < found.high).all()
    np.testing.assert_array_equal(found.mean, accuracy.min(axis=-1))
    for p, m in np.ndindex(2, 2):
        ends = []
        for g in range(4):
            one = np.zeros((2, 2, 4))
            one[p, m, g] = 1.0
            parts = crossed.variance(c, one)
            a = accuracy[p, m, g]
            angle, error = np.arcsin(np.sqrt(a)), np.sqrt(parts.total) / (2 * np.sqrt(a * (1 - a)))
            t = [reference.t.ppf(level, parts.df) for level in (0.975, 0.9875)]
            ends.append(np.sin([angle - t[0] * error, angle + t[1] * error]) ** 2)
        assert (found.low[p, m], found.high[p, m]) == pytest.approx(tuple(np.min(ends, axis=0)))
    assert (found.n == 9).all()
    mean = mean_over_points(found)
    for whole, part in zip(mean[:3], found[:3], strict=True):
        np.testing.assert_allclose(whole, part.mean(axis=0), rtol=1e-15)


def test_the_contrast_is_of_the_groups_that_are_lowest_at_each_point() -> None:
    c = table(1, "four equal", points=3)
    accuracy, contrasts = crossed.group_accuracy(c), worst_group_contrasts(c)
    np.testing.assert_allclose(
        crossed.estimate(c, contrasts), accuracy.min(axis=-1).mean(axis=0), rtol=1e-14
    )
    assert contrasts.sum(axis=(1, 3)) == pytest.approx(np.eye(2))
    gap = crossed.estimate(c, contrasts[1] - contrasts[0])
    lowest = mean_over_points(worst_group_interval(c)).mean
    assert gap == pytest.approx(lowest[1] - lowest[0])


def test_differences_are_at_a_higher_level_than_other_contrasts_and_p_agrees() -> None:
    c = table(4, points=3)
    contrasts = worst_group_contrasts(c)
    (mean, low, high, n), p = worst_group_differences(c, [1, 0, 0], [0, 1, 0])
    usual = crossed.interval(c, contrasts[1] - contrasts[0])
    assert mean[0] == -mean[1] == pytest.approx(float(usual.mean))
    assert low[0] < usual.low < usual.high < high[0]
    parts = crossed.variance(c, contrasts[1] - contrasts[0])
    half = reference.t.ppf(0.9875, parts.df) * np.sqrt(parts.total)
    assert high[0] - mean[0] == pytest.approx(half)
    assert p[2] == 1.0
    twice = 2 * crossed.p_value(c, contrasts[1] - contrasts[0])
    np.testing.assert_allclose(p[:2], twice, rtol=1e-9)
    assert (p[0] > 0.05) == (low[0] < 0 < high[0])
    assert (n == 9).all()


def test_groups_without_samples_play_no_part_and_a_failed_cell_is_missing() -> None:
    c = table(2, "one worst", points=1)
    gone = c.group == 3
    absent = replace(c, right=np.where(gone, 0.0, c.right), n=np.where(gone, 0, c.n))
    accuracy = crossed.group_accuracy(c)[0]
    np.testing.assert_allclose(worst_group_interval(absent).mean[0], accuracy[:, :3].min(axis=-1))
    assert np.isnan(group_interval(absent).mean[..., 3]).all()
    assert (worst_group_interval(absent).n == 9).all()
    assert not worst_group_contrasts(absent)[..., 3].any()
    right = c.right.copy()
    right[0, 0, np.flatnonzero(c.group == 0)[0]] = np.nan
    failed = replace(c, right=right)
    ends = worst_group_interval(failed)
    assert np.isnan([end[0, 0] for end in ends[:3]]).all()
    assert np.isfinite([end[0, 1] for end in ends[:3]]).all()
    assert np.isnan(group_interval(failed).low).sum() == 1
    assert (worst_group_interval(failed).n == [[0, 9]]).all()
    difference, p = worst_group_differences(failed, [1, 1], [0, 1])
    np.testing.assert_array_equal(np.isnan([*difference[:3], p]), [[True, False]] * 4)


def test_all_right_or_all_wrong_leaves_room_on_one_side() -> None:
    c = table(3, points=1)
    every = replace(c, right=np.stack([c.n, 0 * c.n], axis=1).astype(float), audits={})
    ends = worst_group_interval(every)
    (low, none), (high, some) = ends.low[0], ends.high[0]
    assert high == 1.0
    assert 0.99 < low < 1.0 - 1 / crossed_worlds.EACH
    assert none == 0.0
    assert some == pytest.approx(1 - low, abs=1e-3)
    one_wrong = every.right.copy()
    one_wrong[0, 0, 5] -= 1
    assert worst_group_interval(replace(every, right=one_wrong)).low[0, 0] < low
