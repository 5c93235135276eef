"""Each interval of the reports holds the truth as often as it is said to.

Tolerances are four binomial standard errors of the number of simulated tables.
"""

from __future__ import annotations

import numpy as np
import pytest
import simulated
from numpy.typing import NDArray

from w2s_groups.results import stats
from w2s_groups.results.bootstrap import bca_interval
from w2s_groups.results.coverage import MEASURED
from w2s_groups.results.ranks import rank_ranges

Floats = NDArray[np.float64]


def _error(share: float, *tables: int) -> float:
    return 4 * float(np.sqrt(share * (1 - share) * sum(1 / n for n in tables)))


def _held(interval: stats.Interval, truth: float) -> float:
    return float(((interval.low <= truth) & (truth <= interval.high)).mean())


def _shares(kind: str, seeds: int, tables: int, parts: int) -> tuple[float, float]:
    """Coverage of Student t and of BCa; resamples differ between parts."""
    true = simulated.truth(kind)[0]
    values = simulated.seeds(np.random.default_rng([2, seeds]), kind, (tables, seeds))
    bca = [
        _held(bca_interval(part, seed=1000 + k, resamples=1999), true)
        for k, part in enumerate(np.split(values, parts))
    ]
    return _held(stats.mean_interval(values), true), float(np.mean(bca))


def _agrees(kind: str, seeds: int, tables: int, parts: int) -> None:
    for found, said in zip(_shares(kind, seeds, tables, parts), MEASURED[kind][seeds], strict=True):
        assert found == pytest.approx(said, abs=_error(said, tables, 10_000))


def test_a_few_tables_agree_with_the_coverage_in_the_report() -> None:
    _agrees("worst_group", 10, 400, 4)
    assert set(MEASURED) == set(simulated.KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", simulated.KINDS)
@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_t_and_bca_cover_as_the_report_says(kind: str, seeds: int) -> None:
    assert simulated.truth(kind)[1] < 1e-4  # against intervals of 0.01 and wider
    _agrees(kind, seeds, 2000, 20)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 60, 250])
def test_wilson_covers_on_average_over_accuracies(n: int) -> None:
    """At one accuracy it depends on where the counts fall; over [0.5, 0.98] it evens out."""
    tables, generator = 200_000, np.random.default_rng(n)
    p = generator.uniform(0.5, 0.98, tables)
    found = stats.wilson(generator.binomial(n, p) / n, n)
    held = float(((found.low <= p) & (p <= found.high)).mean())
    # Its own deviation on average is below 0.005 from n = 10 on (Brown, Cai and DasGupta 2001).
    assert held == pytest.approx(0.95, abs=0.005 + _error(0.95, tables))


@pytest.mark.slow
def test_wilson_of_a_mean_over_runs_on_the_same_images_is_not_too_narrow() -> None:
    tables, n, runs = 2000, 250, 10
    generator = np.random.default_rng(13)
    # How often runs get an image right; images differ, and the test set is a sample of them.
    ease = generator.beta(1.6, 0.4, (tables, n, 1))
    mean = (generator.random((tables, n, runs)) < ease).mean(axis=(1, 2))
    assert _held(stats.wilson(mean, n), 0.8) >= 0.95 - _error(0.95, tables)


@pytest.mark.slow
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


def _missed(true: Floats, tables: int, seeds: int, lowest: bool, seed: int) -> float:
    """Share of tables where some range lacks a rank that is its method's by the true means."""
    generator = np.random.default_rng(seed)
    best = 1 + (true[:, None] < true).sum(axis=1)
    worst = true.size - (true[:, None] > true).sum(axis=1)
    missed = 0
    for _ in range(tables):
        draw = generator.normal(0.0, 0.02, seeds)
        each = [simulated.accuracies(generator, np.full(4, 0.75) + d, draw, 0.02) for d in true]
        values = np.stack([one.min(axis=-1) if lowest else one.mean(axis=-1) for one in each])
        ranks = rank_ranges(values)
        missed += bool((ranks.best > best).any() or (ranks.worst < worst).any())
    return missed / tables


CASES = {
    "equal": np.zeros(12),
    "steps": np.arange(12) * 0.01,
    "pairs": np.repeat(np.arange(6), 2) * 0.02,
}


def test_rank_ranges_of_a_few_tables_rarely_miss() -> None:
    assert _missed(CASES["equal"], 100, 10, False, 15) <= 0.05 + _error(0.05, 100)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("lowest", [False, True])
def test_rank_ranges_miss_in_at_most_a_twentieth(case: str, seeds: int, lowest: bool) -> None:
    assert _missed(CASES[case], 1000, seeds, lowest, 16) <= 0.05 + _error(0.05, 1000)
