"""How a prediction compares with heads that were fitted: means, signs of gains, bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups
from w2s_groups.prediction.estimates import Estimate, forecast, metric_values
from w2s_groups.prediction.ridge import Prediction
from w2s_groups.results import risks

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEAR = 0.01  # of accuracy
ERRORS = 2.0  # standard errors of the measured mean


@dataclass(frozen=True, eq=False)
class Quantity:
    """One of teacher, student or gain, cell by cell.

    predicted, measured: means. error: standard error of `measured`. near: |predicted − measured| is
    at most NEAR or ERRORS standard errors. covered: share of the draws inside the predicted band.
    """

    predicted: Floats
    measured: Floats
    error: Floats
    near: Mask
    covered: Floats


@dataclass(frozen=True, eq=False)
class Agreement:
    """teacher (L,), student and gain (L, U); clear, right (L, U): gains more than ERRORS standard
    errors from 0, and those of them whose sign was predicted."""

    teacher: Quantity
    student: Quantity
    gain: Quantity
    clear: Mask
    right: Mask


def agreement(
    prediction: Prediction,
    teacher: ArrayLike,
    student: ArrayLike,
    metric: str,
    groups: Groups,
    class_prior: ArrayLike | None = None,
    level: float = 0.95,
) -> Agreement:
    """Agreement with D measured draws: accuracies teacher (D, L, G), student (D, L, U, G)."""
    w, s = np.asarray(teacher, dtype=np.float64), np.asarray(student, dtype=np.float64)
    L, U, _, G = prediction.student.shape
    if w.ndim != 3 or len(w) < 2 or w.shape[1:] != (L, G) or s.shape != (len(w), L, U, G):
        raise InputError(
            f"measured accuracies of shapes {w.shape} and {s.shape} must be (D, {L}, {G}) and "
            f"(D, {L}, {U}, {G}) of the same D draws, 2 or more"
        )
    w, s = (metric_values(values, metric, groups, class_prior) for values in (w, s))
    found = forecast(prediction, metric, groups, class_prior, level)
    gain = risks.gain(s, w[:, :, None])
    gained = _quantity(found.gain, gain)
    clear = is_clear(gained.measured, gained.error)
    right = clear & (np.sign(gained.predicted) == np.sign(gained.measured))
    return Agreement(_quantity(found.teacher, w), _quantity(found.student, s), gained, clear, right)


def is_near(predicted: Floats, measured: Floats, error: Floats) -> Mask:
    """Whether a mean is predicted within NEAR, or ERRORS standard errors of what was measured."""
    return np.asarray(np.abs(predicted - measured) <= np.maximum(NEAR, ERRORS * error))


def is_clear(measured: Floats, error: Floats) -> Mask:
    """Whether a measured gain is more than ERRORS standard errors from 0."""
    return np.asarray(np.abs(measured) > ERRORS * error)


def _quantity(of: Estimate, values: Floats) -> Quantity:
    measured = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    near = is_near(of.mean, measured, error)
    covered = ((values >= of.low) & (values <= of.high)).mean(axis=0)
    return Quantity(of.mean, measured, error, near, covered)
