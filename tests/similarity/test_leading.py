"""Wide features: estimates along their leading directions, and what they cost."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.similarity import dimensions, leading, table
from w2s_groups.similarity.group_dimensions import PairReport, pair_report

GROUPS = Groups(("negative", "positive"), ("no", "yes"), frozenset({(0, 1), (1, 1)}))


def of_rank(n: int, width: int, rank: int, seed: int) -> np.ndarray:
    """(n, width) float32 features of `rank` directions, the last of them small, and some noise."""
    rng = stream(seed, "test/leading")
    scale = np.arange(1, rank + 1) ** -0.5
    main = (rng.standard_normal((n, rank)) * scale) @ rng.standard_normal((rank, width))
    return (main + 1e-3 * rng.standard_normal((n, width))).astype(np.float32)


def report(w: np.ndarray, s: np.ndarray) -> PairReport:
    codes = stream(0, "test/leading/codes").integers(0, 4, len(w))
    shift = ((codes % 2)[:, None] * w[0]).astype(np.float32)
    return pair_report(w + shift, s, codes, GROUPS, seed=0)


def test_an_estimate_is_the_exact_number_where_the_rank_holds_the_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w, s = of_rank(400, 180, 30, 0), of_rank(400, 150, 20, 1)
    exact = report(w, s)
    monkeypatch.setattr(leading, "EXACT", 100)
    monkeypatch.setattr(leading, "RANK", 60)
    monkeypatch.setattr("w2s_groups.similarity.group_dimensions.RANK", 60)
    estimate = report(w, s)
    assert (exact.rank, estimate.rank) == (None, 60)
    for name in ("d_w", "d_s", "d_sw_canonical", "d_sw_corrected", "cka", "p_w", "p_s", "p_sw"):
        assert getattr(estimate, name).value == pytest.approx(
            getattr(exact, name).value, rel=1e-3, abs=1e-3
        ), name
    assert estimate.d_sw_sketch.value == pytest.approx(exact.d_sw_sketch.value, rel=0.02)
    assert repr(dataclasses.asdict(report(w, s))) == repr(dataclasses.asdict(estimate))
    assert "within the 60 leading directions" in table.rows(estimate)[0]["definition"]


def test_more_columns_than_samples_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    w, s = of_rank(60, 180, 60, 0), of_rank(60, 150, 60, 1)
    expected = [dimensions.sketch_overlap(w, s, 7, 5, seed) for seed in (0, 1)]
    monkeypatch.setattr(leading, "EXACT", 100)
    sides = leading.leading("w", w, 0.99, 0), leading.leading("s", s, 0.99, 1)
    assert [side.kept for side in sides] == [1.0, 1.0]
    found = [leading.sketch_overlap(*sides, 7, 5, seed) for seed in (0, 1)]
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_trace_that_the_rank_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "EXACT", 100)
    monkeypatch.setattr(leading, "RANK", 10)
    with pytest.raises(InputError, match=r"the 10 leading directions of features_w hold .* needs"):
        report(of_rank(300, 180, 120, 0), of_rank(300, 50, 20, 1))


def test_the_need_is_not_less_than_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "EXACT", 100)
    monkeypatch.setattr(leading, "RANK", 60)
    for shapes in ((1500, 90, 80), (1500, 200, 150)):
        n, *widths = shapes
        w, s = (of_rank(n, width, 20, width) for width in widths)
        tracemalloc.start()
        report(w, s)
        peak = tracemalloc.get_traced_memory()[1] - 3 * w.nbytes
        tracemalloc.stop()
        assert peak < leading.need(n, *widths)


def test_what_is_needed_ends_with_the_exact_widths() -> None:
    assert leading.need(20_000, 8192, 8192) < leading.need(20_000, 2048, 2048)
