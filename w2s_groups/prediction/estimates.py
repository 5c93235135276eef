"""Samples of group accuracies -> mean and interval over draws of one metric, and of its gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.design.groups import Groups
from w2s_groups.prediction.mixes import Prediction
from w2s_groups.results import risks

Floats = NDArray[np.float64]

METRICS = ("average", "minority", "majority", "worst_group")


@dataclass(frozen=True, eq=False)
class IntervalEstimate:
    """Mean over draws, and the interval that holds a share `level` of single draws.

    error: standard error of `mean` from the finite number of samples. Shapes: those of the cells.
    """

    mean: Floats
    low: Floats
    high: Floats
    error: Floats


@dataclass(frozen=True, eq=False)
class MetricEstimates:
    """One metric: teacher (L,), student and gain (L, U); gain_probability (L, U) Pr[gain > 0]."""

    teacher: IntervalEstimate
    student: IntervalEstimate
    gain: IntervalEstimate
    gain_probability: Floats


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


def metric_estimates(
    prediction: Prediction,
    metric: str,
    groups: Groups,
    class_prior: ArrayLike | None = None,
    level: float = 0.95,
) -> MetricEstimates:
    """Estimates of a metric from the samples; gains pair each student with its own teacher."""
    if not 0 < level < 1:
        raise InputError(f"level={level} must lie in (0, 1); 0.95 is usual")
    teacher = metric_values(prediction.teacher, metric, groups, class_prior)
    student = metric_values(prediction.student, metric, groups, class_prior)
    gain = risks.gain(student, teacher[:, None])
    even = (gain == 0).mean(axis=-1) / 2  # as often one way as the other
    return MetricEstimates(
        interval_estimate(teacher, level),
        interval_estimate(student, level),
        interval_estimate(gain, level),
        np.where(np.isnan(gain).any(axis=-1), np.nan, (gain > 0).mean(axis=-1) + even),
    )


def interval_estimate(values: Floats, level: float = 0.95) -> IntervalEstimate:
    """Estimate over the last axis, S samples whose second half mirrors the first."""
    S = values.shape[-1]
    # Weibull's plotting positions: intervals of few samples hold `level` on average.
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(values, tails, axis=-1, method="weibull")
    pairs = (values[..., : S // 2] + values[..., S // 2 :]) / 2
    sd = pairs.std(axis=-1, ddof=1) if S > 2 else np.full(values.shape[:-1], np.nan)
    return IntervalEstimate(values.mean(axis=-1), low, high, sd / np.sqrt(S // 2))
