"""Each interval of the reports holds the truth as often as it is said to.

Tolerances are four binomial standard errors of the number of simulated tables.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import simulated
from numpy.typing import NDArray

from w2s_groups.reports.shared import reading
from w2s_groups.results import stats

Floats = NDArray[np.float64]


def _error(share: float, *tables: int) -> float:
    return 4 * float(np.sqrt(share * (1 - share) * sum(1 / n for n in tables)))


def _held(interval: stats.Interval, truth: float) -> float:
    return float(((interval.low <= truth) & (truth <= interval.high)).mean())


def _covers(kind: str, seeds: int, tables: int) -> float:
    true = simulated.truth(kind)[0]
    values = simulated.seeds(np.random.default_rng([2, seeds]), kind, (tables, seeds))
    return _held(stats.mean_interval(values), true)


# What "How to read this" says of the intervals, per cent.
SAID = {"average": (94, 96), "worst_group": (94, 96), "difference": (94, 96), "skewed": (88, 92)}


def _as_said(kind: str, seeds: int, tables: int) -> None:
    found, (least, most) = _covers(kind, seeds, tables), SAID[kind]
    error = _error(least / 100, tables)
    assert least / 100 - 0.005 - error <= found <= most / 100 + 0.005 + error


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("kind", SAID)
def test_a_few_t_intervals_cover_as_the_report_says(kind: str, seeds: int) -> None:
    (line,) = [text for text in reading("image").bullets if "cover the true value" in text]
    assert {f"{a} to {b} %" for a, b in SAID.values()} == set(re.findall(r"\d+ to \d+ %", line))
    _as_said(kind, seeds, 2000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_t_intervals_cover_as_the_report_says(kind: str, seeds: int) -> None:
    assert simulated.truth(kind)[1] < 1e-4  # against intervals of 0.01 and wider
    _as_said(kind, seeds, 20_000)


@pytest.mark.parametrize("n", [20, 60, 250])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_of_accuracies_stay_in_range_and_cover_up_to_the_ends(n: int, seeds: int) -> None:
    generator, tables = np.random.default_rng([n, seeds]), 4000
    for p, least in ((0.5, 0.94), (0.8, 0.94), (0.95, 0.92), (0.99, 0.9), (1.0, 1.0)):
        values = generator.binomial(n, p, (tables, seeds)) / n
        found = stats.accuracy_interval(values, 1 / n)
        assert (found.low >= 0.0).all()
        assert (found.high <= 1.0).all()
        assert _held(found, p) >= least - _error(least, tables), (p, _held(found, p))


@pytest.mark.parametrize("n", [10, 60, 250])
def test_wilson_covers_on_average_over_accuracies(n: int) -> None:
    """At one accuracy it depends on where the counts fall; over [0.5, 0.98] it evens out."""
    tables, generator = 200_000, np.random.default_rng(n)
    p = generator.uniform(0.5, 0.98, tables)
    found = stats.wilson(generator.binomial(n, p) / n, n)
    held = float(((found.low <= p) & (p <= found.high)).mean())
    # Its own deviation on average is below 0.005 from n = 10 on (Brown, Cai and DasGupta 2001).
    assert held == pytest.approx(0.95, abs=0.005 + _error(0.95, tables))


def test_wilson_of_a_mean_over_runs_on_the_same_images_is_not_too_narrow() -> None:
    tables, n, runs = 2000, 250, 10
    generator = np.random.default_rng(13)
    # How often runs get an image right; images differ, and the test set is a sample of them.
    ease = generator.beta(1.6, 0.4, (tables, n, 1))
    mean = (generator.random((tables, n, runs)) < ease).mean(axis=(1, 2))
    assert _held(stats.wilson(mean, n), 0.8) >= 0.95 - _error(0.95, tables)


@pytest.mark.parametrize("gap", [0.2, 0.04])
def test_fiellers_set_covers_pgr_of_tables_like_ours(gap: float) -> None:
    """All tables, those with a blank too: its set is then unbounded, and holds the truth or not."""
    tables, seeds, recovered = 4000, 10, 0.6
    generator = np.random.default_rng(14)
    draw = generator.normal(0.0, 0.02, (tables, seeds))
    p = np.array([0.75, 0.7, 0.65, 0.7])
    teacher, student, ceiling = (
        simulated.accuracies(generator, p + lift, draw, 0.02).mean(axis=-1)
        for lift in (0.0, recovered * gap, gap)
    )
    found = stats.pgr_interval(student, teacher, ceiling)
    shown = ~np.isnan(found.mean)
    assert shown.mean() == 1.0 if gap == 0.2 else shown.mean() > 0.5
    # Fieller's set holds r exactly where the t interval of top - r bottom holds 0.
    contrast = stats.mean_interval((student - teacher) - recovered * (ceiling - teacher))
    inside = (found.low <= recovered) & (recovered <= found.high)
    np.testing.assert_array_equal(inside[shown], contrast.holds(0.0)[shown])
    assert contrast.holds(0.0).mean() == pytest.approx(0.95, abs=_error(0.95, tables))
