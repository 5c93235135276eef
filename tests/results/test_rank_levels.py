"""Rank ranges miss a true rank in at most 5 % of simulated tables, from 2 seeds to 10.

Tolerances are four binomial standard errors of the number of simulated tables.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import simulated
from numpy.typing import NDArray

from w2s_groups.results.ranks import rank_ranges

Floats = NDArray[np.float64]


def _limit(tables: int) -> float:
    return 0.05 + 4 * float(np.sqrt(0.05 * 0.95 / tables))


def _missed(true: Floats, table: Callable[[], Floats], tables: int, step: float | None) -> float:
    """Share of tables where some range lacks a rank that is its method's by the true means."""
    best = 1 + (true[:, None] < true).sum(axis=1)
    worst = true.size - (true[:, None] > true).sum(axis=1)
    missed = 0
    for _ in range(tables):
        ranks = rank_ranges(table(), step)
        missed += bool((ranks.best > best).any() or (ranks.worst < worst).any())
    return missed / tables


def _counts(true: Floats, seeds: int, n: int, tables: int, known: bool) -> float:
    """Each accuracy of n rows by itself, as discrete as it can be; known: whether n is said."""
    generator = np.random.default_rng([true.size, seeds, n])
    return _missed(
        true,
        lambda: generator.binomial(n, true[:, None], (true.size, seeds)) / n,
        tables,
        1 / n if known else None,
    )


@pytest.mark.parametrize(
    ("methods", "seeds", "n"),
    [(2, 2, 20), (11, 2, 250), (2, 3, 20), (11, 3, 20), (11, 3, 250), (5, 5, 20), (11, 10, 20)],
)
def test_equal_methods_keep_all_ranks_in_a_few_tables(methods: int, seeds: int, n: int) -> None:
    assert _counts(np.full(methods, 0.8), seeds, n, 300, False) <= _limit(300)
    if seeds == 2:
        assert _counts(np.full(methods, 0.8), seeds, n, 300, True) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("n", [20, 60, 250])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("methods", [2, 3, 5, 8, 11])
@pytest.mark.parametrize("level", [0.6, 0.8, 0.95])
def test_equal_methods_keep_all_ranks(
    methods: int, seeds: int, n: int, level: float, known: bool
) -> None:
    assert _counts(np.full(methods, level), seeds, n, 2000, known) <= _limit(2000)


@pytest.mark.parametrize("seeds", [3, 10])
def test_unequal_methods_keep_their_true_ranks_in_a_few_tables(seeds: int) -> None:
    assert _counts(np.repeat([0.9, 0.85, 0.7], 3), seeds, 60, 300, True) <= _limit(300)


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 60, 250])
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("gap", [0.01, 0.05])
def test_unequal_methods_keep_their_true_ranks(seeds: int, n: int, gap: float) -> None:
    true = 0.9 - gap * np.repeat(np.arange(4), [1, 3, 3, 4])
    assert _counts(true, seeds, n, 2000, True) <= _limit(2000)


def test_ten_seeds_separate_what_is_clearly_apart() -> None:
    true, generator = np.repeat([0.9, 0.8, 0.7], [1, 5, 5]), np.random.default_rng(1)
    values = generator.binomial(250, true[:, None], (11, 10)) / 250
    ranks = rank_ranges(values, 1 / 250)
    assert [ranks.text(m) for m in range(11)] == ["1", *["2-6"] * 5, *["7-11"] * 5]
    few = rank_ranges(values[:, :3], 1 / 250)
    assert (few.best <= ranks.best).all()
    assert (few.worst >= ranks.worst).all()


def _of_groups(true: Floats, tables: int, seeds: int, lowest: bool, seed: int) -> float:
    """Tables like ours: draws that all methods share, the mean or the lowest of four groups."""
    generator = np.random.default_rng(seed)

    def table() -> Floats:
        draw = generator.normal(0.0, 0.02, seeds)
        each = [simulated.accuracies(generator, np.full(4, 0.75) + d, draw, 0.02) for d in true]
        return np.stack([one.min(axis=-1) if lowest else one.mean(axis=-1) for one in each])

    return _missed(true, table, tables, 1 / simulated.N)


CASES = {
    "equal": np.zeros(12),
    "steps": np.arange(12) * 0.01,
    "pairs": np.repeat(np.arange(6), 2) * 0.02,
}


def test_rank_ranges_of_a_few_tables_like_ours_rarely_miss() -> None:
    assert _of_groups(CASES["equal"], 100, 10, False, 15) <= _limit(100)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("lowest", [False, True])
def test_rank_ranges_of_tables_like_ours_miss_in_at_most_a_twentieth(
    case: str, seeds: int, lowest: bool
) -> None:
    assert _of_groups(CASES[case], 1000, seeds, lowest, 16) <= _limit(1000)
