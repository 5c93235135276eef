"""Comparison of a prediction with heads fitted on draws: means, signs of gains, intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.design.groups import Groups
from w2s_groups.prediction.estimates import IntervalEstimate, metric_estimates, metric_values
from w2s_groups.prediction.mixes import Prediction
from w2s_groups.prediction.table import is_clear, is_near
from w2s_groups.results import risks

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Quantity:
    """One of teacher, student or gain, cell by cell.

    predicted, measured: means. error: standard error of `measured`. near: table.is_near. covered:
    share of the draws inside the predicted interval.
    """

    predicted: Floats
    measured: Floats
    error: Floats
    near: Mask
    covered: Floats


@dataclass(frozen=True, eq=False)
class Comparison:
    """teacher (L,), student and gain (L, U), and which gains have the predicted sign.

    clear (L, U): gains that are clearly measured; right (L, U): those whose sign was predicted.
    """

    teacher: Quantity
    student: Quantity
    gain: Quantity
    clear: Mask
    right: Mask


def compared_with_draws(
    prediction: Prediction,
    teacher: ArrayLike,
    student: ArrayLike,
    metric: str,
    groups: Groups,
    class_prior: ArrayLike | None = None,
    level: float = 0.95,
) -> Comparison:
    """Comparison with D measured draws, two or more: teacher (D, L, G), student (D, L, U, G)."""
    w, s = (
        metric_values(np.asarray(values, dtype=np.float64), metric, groups, class_prior)
        for values in (teacher, student)
    )
    estimates = metric_estimates(prediction, metric, groups, class_prior, level)
    gain = _quantity(estimates.gain, risks.gain(s, w[:, :, None]))
    clear = is_clear(gain.measured, gain.error)
    right = clear & (np.sign(gain.predicted) == np.sign(gain.measured))
    teachers, students = _quantity(estimates.teacher, w), _quantity(estimates.student, s)
    return Comparison(teachers, students, gain, clear, right)


def _quantity(estimate: IntervalEstimate, values: Floats) -> Quantity:
    measured = values.mean(axis=0)
    assert measured.shape == estimate.mean.shape
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    near = is_near(estimate.mean, measured, error)
    covered = ((values >= estimate.low) & (values <= estimate.high)).mean(axis=0)
    return Quantity(estimate.mean, measured, error, near, covered)
