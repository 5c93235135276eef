"""How often intervals hold the expected accuracy over new identities, places, pools and draws.

Tolerances are three binomial standard errors of the number of simulated tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import crossed_worlds
import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_groups.results import crossed, stats
from w2s_groups.results.crossed import Crossed
from w2s_groups.results.crossed_worst import (
    mean_over_points,
    worst_group_differences,
    worst_group_interval,
)
from w2s_groups.results.resampled import corrected_interval
from w2s_groups.results.stats import Interval

Floats = NDArray[np.float64]
Named = Iterator[tuple[str, Interval]]


def of_folds(c: Crossed) -> Named:
    """Average and worst group of the first method, and differences to the second."""
    average = crossed.method_contrasts(c, np.full(4, 0.25))
    ends = crossed.interval(c, np.stack([average[0], average[1] - average[0]]))
    yield "average", ends.at(0)
    yield "difference", ends.at(1)
    yield "worst difference", worst_group_differences(c, [1], [0])[0].at(0)
    yield "worst", mean_over_points(worst_group_interval(c)).at(0)


def of_draws(accuracy: Floats) -> Named:
    """The same from runs (S, M, G), each with its own lowest group, by Student's t."""
    average, worst = accuracy.mean(axis=-1), accuracy.min(axis=-1)
    yield "average", stats.mean_interval(average[:, 0])
    yield "difference", stats.mean_interval(average[:, 1] - average[:, 0])
    yield "worst", stats.mean_interval(worst[:, 0])
    yield "worst difference", stats.mean_interval(worst[:, 1] - worst[:, 0])


def of_splits(accuracy: Floats) -> Named:
    """Corrected t over random splits (J, M, G) that test a third of the identities."""
    average = accuracy.mean(axis=-1)
    yield "average", corrected_interval(average[:, 0], 1 / 3)
    yield "difference", corrected_interval(average[:, 1] - average[:, 0], 1 / 3)


def coverage(
    world: crossed_worlds.World, tables: int, points: int = 1
) -> dict[str, dict[str, float]]:
    """Shares of tables whose interval holds the truth: kind of interval -> number -> share."""
    average, worst = world.truth.mean(axis=-1), world.truth.min(axis=-1)
    truth = {"average": average[0], "difference": average[1] - average[0],
             "worst": worst[0], "worst difference": worst[1] - worst[0]}  # fmt: skip
    generator = np.random.default_rng(20)
    held: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(tables):
        people = world.people(generator)
        for kind, intervals in (
            ("folds", of_folds(people.crossed(points))),
            ("draws", of_draws(people.splits(1, 10)[0])),
            ("splits", of_splits(people.splits(10, 1)[:, 0])),
        ):
            for name, ends in intervals:
                held[kind][name].append(bool(ends.low <= truth[name] <= ends.high))
    return {kind: {name: float(np.mean(some)) for name, some in names.items()}
            for kind, names in held.items()}  # fmt: skip


def check(found: dict[str, dict[str, float]], tables: int, least: float = 0.92) -> None:
    def error(share: float) -> float:
        return 3 * float(np.sqrt(share * (1 - share) / tables))

    for name, share in found["folds"].items():
        assert share > least - error(least), (name, found)
    assert found["folds"]["average"] < 0.99 + error(0.99)
    for name in ("average", "difference", "worst"):
        assert found["draws"][name] < 0.6, (name, found)  # far below: no tolerance is needed
    for name, share in found["splits"].items():
        assert share > least - error(least), (name, found)


def test_folds_hold_the_truth_and_draws_of_one_split_do_not() -> None:
    world = crossed_worlds.World(crossed_worlds.SCENARIOS["one worst"])
    check(coverage(world, 40), 40)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", sorted(crossed_worlds.SCENARIOS))
def test_coverage_where_groups_are_apart_and_where_they_tie(scenario: str) -> None:
    check(coverage(crossed_worlds.World(crossed_worlds.SCENARIOS[scenario]), 400), 400)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["one worst", "tied against one"])
def test_coverage_of_means_over_points(scenario: str) -> None:
    """Their draws average out, so what groups that tie do to the lowest one weighs more."""
    world = crossed_worlds.World(crossed_worlds.SCENARIOS[scenario])
    check(coverage(world, 300, points=4), 300)


def test_the_simulated_truth_is_what_tables_have_on_average() -> None:
    world = crossed_worlds.World(crossed_worlds.SCENARIOS["one worst"])
    generator = np.random.default_rng(21)
    measured = np.array([crossed.group_accuracy(world.people(generator).crossed())[0]
                         for _ in range(60)])  # fmt: skip
    error = measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    assert (np.abs(measured.mean(axis=0) - world.truth) < 4 * error).all()
