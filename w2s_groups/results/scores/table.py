"""Every measure of the outputs of a cell's methods, by group and at the mixes that reports show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.heads.problem import choose, one_hot
from w2s_groups.results.risks import group_weights
from w2s_groups.results.scores.accuracy import accuracy
from w2s_groups.results.scores.auroc import auroc
from w2s_groups.results.scores.blind_spots import blind_spots
from w2s_groups.results.scores.brier import brier
from w2s_groups.results.scores.calibration import calibration_error
from w2s_groups.results.scores.error_similarity import error_similarity
from w2s_groups.results.scores.log_loss import log_loss
from w2s_groups.results.scores.residuals import bias, error_correlation
from w2s_groups.results.scores.rows import Floats

# What outputs are: probabilities of classes, scores of ridge heads, predictions of a number.
PROBABILITIES, SCORES, PREDICTIONS = "probabilities", "scores", "predictions"
# Test mixes by the minority fraction eta_t, as results.grid weighs groups.
MIXES = {"average": 0.5, "minority": 1.0, "majority": 0.0}
MEASURES: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "auroc": auroc,
    "calibration_error": calibration_error,
    "log_loss": log_loss,
    "brier": brier,
}
AGAINST_TEACHER: dict[str, Callable[..., float]] = {
    "blind_spots": blind_spots,
    "error_similarity": error_similarity,
}
# Scores of ridge heads are no probabilities: what needs those is left out.
OF_KIND = {
    PROBABILITIES: (*MEASURES, *AGAINST_TEACHER),
    SCORES: ("accuracy", "auroc", "error_similarity"),
    PREDICTIONS: ("bias", "error_correlation"),
}
COLUMNS = tuple(dict.fromkeys(name for names in OF_KIND.values() for name in names))


@dataclass(frozen=True, eq=False)
class Coding:
    """Groups by code: names, y (G,), a (G,), minority (G,); prior: (C,) class shares of a mix."""

    names: tuple[str, ...]
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    minority: NDArray[np.bool_]
    prior: Floats


def row_weights(codes: NDArray[np.int64], coding: Coding, eta_t: float) -> Floats | None:
    """(n,) weights that make rows of group codes (n,) the test mix eta_t; None where it lacks rows.

    A mix that gives an absent group weight is missing, as in risks.weighted_mean.
    """
    n = np.bincount(codes, minlength=len(coding.names))
    share = group_weights(coding.y, coding.minority, eta_t, coding.prior)
    if np.isnan(share).any() or (share[n == 0] > 0).any():
        return None
    return np.asarray((share / np.maximum(n, 1))[codes], dtype=np.float64)


def measured(
    outputs: Mapping[str, Floats],
    kind: str,
    truth: NDArray[Any],
    codes: NDArray[np.int64],
    coding: Coding,
) -> list[dict[str, Any]]:
    """A row for each method and each group or mix: method, mix, group, n and the measures of kind.

    outputs: method -> (n, C) probabilities or scores, or (n, 1) predictions. truth: (n,) classes,
    or numbers in the unit of the predictions. codes: (n,) group codes. What cannot be measured is
    NaN: of an absent group everything, of one class the AUROC, of the teacher what compares with
    it.
    """
    parts: list[tuple[str, str, NDArray[np.bool_], Floats | None]] = []
    for mix, eta_t in MIXES.items():
        weights = row_weights(codes, coding, eta_t)
        there = np.zeros(len(codes), dtype=bool) if weights is None else weights > 0
        parts.append((mix, "", there, None if weights is None else weights[there]))
    for g, name in enumerate(coding.names):
        parts.append(("", name, codes == g, None))
    teacher = outputs.get("teacher")
    return [
        {
            "method": method, "mix": mix, "group": group, "n": int(rows.sum()),
            **_of(kind, values[rows], truth[rows], weights,
                  None if method == "teacher" or teacher is None else teacher[rows]),
        }
        for method, values in outputs.items()
        for mix, group, rows, weights in parts
    ]  # fmt: skip


def _of(
    kind: str, values: Floats, truth: NDArray[Any], weights: Floats | None, teacher: Floats | None
) -> dict[str, float]:
    """The measures of one method on some rows."""
    if kind == PREDICTIONS:
        residual = values[:, 0] - truth
        both = partial(error_correlation, residual, weights=weights)
        like = float("nan") if teacher is None else both(teacher[:, 0] - truth)
        return {"bias": bias(residual, weights), "error_correlation": like}
    found = {
        name: MEASURES[name](values, truth, weights) for name in OF_KIND[kind] if name in MEASURES
    }
    for name in (name for name in OF_KIND[kind] if name in AGAINST_TEACHER):
        found[name] = float("nan")
        if teacher is not None and len(values):
            pair = (values, teacher) if kind == PROBABILITIES else map(_decided, (values, teacher))
            found[name] = AGAINST_TEACHER[name](*pair, truth, weights)
    return found


def _decided(scores: Floats) -> Floats:
    return one_hot(choose(scores), scores.shape[1])
