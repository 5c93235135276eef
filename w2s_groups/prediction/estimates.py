"""Samples of group accuracies -> what is expected of one metric, how sure that is, and the gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.design.groups import Groups
from w2s_groups.prediction.ridge import Prediction
from w2s_groups.results import risks

Floats = NDArray[np.float64]

METRICS = ("average", "minority", "majority", "worst_group")


@dataclass(frozen=True, eq=False)
class Estimate:
    """Mean over draws, the interval that holds a share `level` of draws, and the sampling error.

    low, high: of single draws, not of the mean. error: standard error of `mean` from the finite
    number of samples. Shapes: those of the cells.
    """

    mean: Floats
    low: Floats
    high: Floats
    error: Floats


@dataclass(frozen=True, eq=False)
class Forecast:
    """One metric: teacher (L,), student (L, U), gain (L, U) and positive (L, U) = Pr[gain > 0]."""

    teacher: Estimate
    student: Estimate
    gain: Estimate
    positive: Floats


def metric_values(
    accuracy: ArrayLike, metric: str, groups: Groups, class_prior: ArrayLike | None = None
) -> Floats:
    """(...) metric (one of METRICS) of accuracies (..., G); definitions are those of risks.

    "average" is the mean at eta_t = 1/2. The worst group is taken draw by draw: its expectation
    lies below the worst of the groups' expectations.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if metric == "worst_group":
        return risks.worst_group(accuracy)
    eta_t = {"average": 0.5, "minority": 1.0, "majority": 0.0}[metric]
    return risks.eta_mean(accuracy, groups.class_of, groups.is_minority, eta_t, class_prior)


def forecast(
    prediction: Prediction,
    metric: str,
    groups: Groups,
    class_prior: ArrayLike | None = None,
    level: float = 0.95,
) -> Forecast:
    """Forecast of a metric from the samples; gains pair each student with its own teacher."""
    if not 0 < level < 1:
        raise InputError(f"level={level} must lie in (0, 1); 0.95 is usual")
    teacher = metric_values(prediction.teacher, metric, groups, class_prior)
    student = metric_values(prediction.student, metric, groups, class_prior)
    gain = risks.gain(student, teacher[:, None])
    even = (gain == 0).mean(axis=-1) / 2  # as often one way as the other
    return Forecast(
        estimate(teacher, level),
        estimate(student, level),
        estimate(gain, level),
        np.where(np.isnan(gain).any(axis=-1), np.nan, (gain > 0).mean(axis=-1) + even),
    )


def estimate(values: Floats, level: float = 0.95) -> Estimate:
    """Estimate over the last axis, S samples whose second half mirrors the first."""
    S = values.shape[-1]
    # Weibull's plotting positions: intervals of few samples hold `level` on average.
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(values, tails, axis=-1, method="weibull")
    pairs = (values[..., : S // 2] + values[..., S // 2 :]) / 2
    spread = pairs.std(axis=-1, ddof=1) if S > 2 else np.full(values.shape[:-1], np.nan)
    return Estimate(values.mean(axis=-1), low, high, spread / np.sqrt(S // 2))


def error_of_test_set(
    accuracy: ArrayLike,
    n: ArrayLike,
    metric: str,
    groups: Groups,
    class_prior: ArrayLike | None = None,
) -> Floats:
    """Standard error of a metric of accuracies (..., G) measured on n (G,) independent images.

    It is what another test set of that size would change, and no part of a forecast's interval.
    Binomial, so too small where several images show one individual. For the worst group: that of
    the group which is worst.
    """
    value, count = np.asarray(accuracy, dtype=np.float64), np.asarray(n, dtype=np.float64)
    variance = value * (1 - value) / np.where(count > 0, count, np.nan)
    if metric == "worst_group":
        worst = np.where(np.isnan(value), np.inf, value).argmin(axis=-1)
        return np.sqrt(np.take_along_axis(variance, worst[..., None], axis=-1)[..., 0])
    weight = np.array(
        [metric_values(row, metric, groups, class_prior) for row in np.eye(value.shape[-1])]
    )
    return np.asarray(np.sqrt(np.where(weight == 0, 0.0, weight**2 * variance).sum(axis=-1)))
