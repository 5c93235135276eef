"""Measures by group and mix: mixes are exact in group means, what is absent is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from w2s_groups.design.groups import Groups
from w2s_groups.results import risks
from w2s_groups.results.outputs import as_half
from w2s_groups.results.scores import table
from w2s_groups.results.scores.calibration import BINS
from w2s_groups.results.scores.table import (
    COLUMNS,
    MIXES,
    PREDICTIONS,
    PROBABILITIES,
    SCORES,
    Coding,
    measured,
)

TWO, THREE = Groups(("c", "d"), ("l", "r")), Groups(("c", "d", "e"), ("l", "m", "r"))
MEANS = ("accuracy", "log_loss", "brier", "blind_spots")  # those that are means over rows


def coding(groups: Groups) -> Coding:
    C, A = len(groups.class_names), len(groups.attribute_names)
    y, a = np.divmod(np.arange(groups.n_groups), A)
    prior = np.arange(1, C + 1) / np.arange(1, C + 1).sum()
    return Coding(groups.names, y, a, groups.is_minority, prior)


def outputs(
    groups: Groups, n: int = 900, absent: int = -1, seed: int = 0
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Teacher and student as float64 probabilities; y; codes."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, groups.n_groups, n)
    codes = codes[codes != absent]
    y = codes // len(groups.attribute_names)
    found = {}
    for name, skill in (("teacher", 0.8), ("w2s", 1.6)):
        logits = rng.standard_normal((len(y), len(groups.class_names)))
        logits[np.arange(len(y)), y] += skill
        exp = np.exp(2 * logits)
        found[name] = exp / exp.sum(axis=1, keepdims=True)
    return found, y, codes


def frame(of: Groups, kind: str = PROBABILITIES, **how: int) -> pd.DataFrame:
    found, y, codes = outputs(of, **how)
    rows = measured(found, kind, y, codes, coding(of))
    return pd.DataFrame(rows).set_index(["method", "mix", "group"]).sort_index()


@pytest.mark.parametrize("groups", [TWO, THREE])
def test_means_of_a_mix_are_those_of_its_groups(groups: Groups) -> None:
    of, rows = coding(groups), frame(groups)
    for measure in MEANS:
        by_group = rows.loc[("w2s", "")][measure].reindex(groups.names)
        for mix, eta_t in MIXES.items():
            expected = risks.eta_mean(by_group.to_numpy(), of.y, of.minority, eta_t, of.prior)
            assert rows.loc[("w2s", mix, ""), measure] == pytest.approx(float(expected))


def test_a_mix_of_equal_groups_weighs_rows_alike() -> None:
    """Where the rows already have the mix, any measure is that of all rows."""
    found, y, codes = outputs(TWO, n=4000)
    even = np.concatenate([np.flatnonzero(codes == g)[:800] for g in range(4)])
    of = coding(TWO)
    flat = Coding(of.names, of.y, of.a, of.minority, np.full(2, 0.5))
    part = {name: proba[even] for name, proba in found.items()}
    rows = measured(part, PROBABILITIES, y[even], codes[even], flat)
    own = next(row for row in rows if (row["method"], row["mix"]) == ("w2s", "average"))
    for name in ("auroc", "calibration_error"):
        whole = table.MEASURES[name](part["w2s"], y[even])
        assert own[name] == pytest.approx(whole)


def test_absent_groups_and_single_classes_are_missing() -> None:
    rows = frame(TWO, absent=1)
    gone = rows.loc[("w2s", "", TWO.names[1])]
    assert gone["n"] == 0
    assert gone.drop("n").isna().all()
    assert rows.loc[("w2s", "average", "")].drop("n").isna().all()  # it weighs the absent group
    assert rows.loc[("w2s", "minority", "")].drop("n").isna().all()
    assert rows.loc[("w2s", "majority", "")].notna().all()
    here = rows.loc[("w2s", "", TWO.names[0])]
    assert np.isnan(here["auroc"])
    assert here.drop("auroc").notna().all()


def test_the_teacher_is_not_compared_with_itself() -> None:
    rows = frame(TWO)
    assert rows.loc["teacher"][["blind_spots", "error_similarity"]].isna().all(axis=None)
    assert rows.loc["w2s"][["blind_spots", "error_similarity"]].notna().all(axis=None)


def test_scores_and_predictions_have_what_makes_sense_of_them() -> None:
    rows = frame(TWO, SCORES)
    assert set(rows) == {"n", "accuracy", "auroc", "error_similarity"}
    found, _, codes = outputs(TWO)
    numbers = {name: proba[:, :1] for name, proba in found.items()}
    truth = np.linspace(-1, 1, len(codes))
    rows = pd.DataFrame(measured(numbers, PREDICTIONS, truth, codes, coding(TWO)))
    assert {"bias", "error_correlation"} == set(rows) & set(COLUMNS)
    own = rows[(rows["method"] == "w2s") & (rows["group"] == TWO.names[2])].iloc[0]
    here = codes == 2
    assert own["bias"] == pytest.approx((numbers["w2s"][here, 0] - truth[here]).mean())


# By how much float16 moves a measure at most. A probability moves by 2^-12, a decision or a bin
# only where it is that near to an edge, here at most one row in 1,000; log p by 2^-12 / p.
MOVED = {
    "accuracy": 2e-3, "auroc": 1e-3, "calibration_error": 4e-3, "log_loss": 2e-3, "brier": 5e-4,
    "blind_spots": 2e-3, "error_similarity": 1e-3,
}  # fmt: skip


@pytest.mark.parametrize("groups", [TWO, THREE])
def test_float16_moves_the_measures_of_all_rows_by_little(groups: Groups) -> None:
    assert set(MOVED) == set(table.OF_KIND[PROBABILITIES])
    worst = dict.fromkeys(MOVED, 0.0)
    for seed in range(20):
        found, y, codes = outputs(groups, n=2000, seed=seed)
        rounded = {}
        for name, proba in found.items():
            stored = as_half(proba).astype(np.float64)
            assert stored.shape[1] == (1 if groups is TWO else 3)
            rounded[name] = np.hstack([1 - stored, stored]) if groups is TWO else stored
            assert np.abs(rounded[name] - proba).max() <= 2.0**-12
        exact, moved = (
            pd.DataFrame(measured(own, PROBABILITIES, y, codes, coding(groups)))
            for own in (found, rounded)
        )
        of_all = exact["mix"] == "average"
        for name in MOVED:
            change = (moved[name] - exact[name])[of_all].abs().max()
            worst[name] = max(worst[name], change)
    assert all(worst[name] <= MOVED[name] for name in MOVED), worst
    assert BINS == 15
