"""Predictions and measurements as long tables: one row for each cell, method and metric."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.lazy import stats
from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.prediction.estimates import metric_estimates
from w2s_groups.prediction.mixes import Prediction
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import REFERENCES
from w2s_groups.results.risks import gain

METRICS = ("average", "minority", "worst_group")
OF_RUNS = {"worst_group": "worst_group_of_run"}  # a draw is predicted with its own lowest group
METHODS = ("teacher", "w2s", "gain")
RETRAINED = ("retrained", "retrained_gain")  # with a selection; the gain over the student
CELL = ["n_l", "eta_l", "n_u", "eta_u"]
NEAR = 0.01  # of accuracy
STANDARD_ERRORS = 2.0  # of the measured mean

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Mix = tuple[int, float]  # size and minority fraction


class Agreement(NamedTuple):
    """How well predictions match measurements over cells.

    r2: about the identity line. near: share of cells where `is_near`. coverage: share of draws in
    the predicted interval. spearman: NaN for fewer than three cells.
    """

    r2: float
    near: float
    coverage: float
    spearman: float


def predictions(
    prediction: Prediction,
    labelled: Sequence[Mix],
    unlabelled: Sequence[Mix],
    groups: Groups,
    priors: Floats,
) -> pd.DataFrame:
    """One row for each cell (labelled mix, unlabelled mix), method and metric.

    Columns: CELL, method, metric, mean, low, high (of 95 % of draws), error (of the mean, from the
    number of samples), and for each gain `positive`, the probability that it is above 0.
    """
    cells = [(*left, *right) for left, right in itertools.product(labelled, unlabelled)]
    shape = (len(labelled), len(unlabelled))
    parts = []
    for metric in METRICS:
        of_pair = metric_estimates(prediction, metric, groups, priors)
        columns = [*zip(METHODS, (of_pair.teacher, of_pair.student, of_pair.gain), strict=True)]
        probability = {METHODS[-1]: of_pair.gain_probability}
        if prediction.retrained is not None:
            again = metric_estimates(prediction.retraining(), metric, groups, priors)
            columns += zip(RETRAINED, (again.student, again.gain), strict=True)
            probability[RETRAINED[-1]] = again.gain_probability
        for method, estimate in columns:
            part = pd.DataFrame(cells, columns=CELL)
            part["method"], part["metric"] = method, metric
            for name in ("mean", "low", "high", "error"):
                part[name] = _column(getattr(estimate, name), shape)
            part["positive"] = probability[method].ravel() if method in probability else np.nan
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _column(values: Floats, shape: tuple[int, int]) -> Floats:
    """Values (L,) of teachers, or of every cell, as one column of all cells."""
    whole = values[:, None] if values.ndim == 1 else values.reshape(shape)
    return np.broadcast_to(whole, shape).ravel()


def measurements(grid: Grid) -> pd.DataFrame:
    """Rows as in `predictions`, of trained heads.

    Columns: CELL, method, metric, mean, error (its standard error), draws (the value of each seed,
    NaN for a missing one).
    """
    teacher, student = (grid.methods.index(name) for name in METHODS[:2])
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        value = grid.metric(OF_RUNS.get(metric, metric))
        weak, strong = value[:, teacher], value[:, student]
        for method, draws in zip(METHODS, (weak, strong, gain(strong, weak)), strict=True):
            for p, (eta_l, eta_u) in enumerate(grid.points):
                finite = draws[p][np.isfinite(draws[p])]
                sd = finite.std(ddof=1) if len(finite) > 1 else np.nan
                rows.append(
                    {
                        "n_l": grid.n_l, "eta_l": eta_l, "n_u": grid.n_u, "eta_u": eta_u,
                        "method": method, "metric": metric,
                        "error": sd / np.sqrt(max(len(finite), 1)),
                        "mean": finite.mean() if len(finite) else np.nan, "draws": draws[p],
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def order(predicted: pd.DataFrame, grid: Grid, seed: int, resamples: int = 1000) -> pd.DataFrame:
    """Spearman's correlation over cells of the predicted student with each trained method.

    One row for each method that learns from the teacher, and metric: `accuracy` correlates mean
    accuracies, `gain` mean gains; _low, _high: 2.5 and 97.5 % quantiles over resampled seeds, since
    the cells of one seed share their draws.
    """
    index = pd.MultiIndex.from_tuples(grid.points)
    again = stream(seed, "predict/order").integers(0, len(grid.seeds), (resamples, len(grid.seeds)))
    rows = []
    for name in grid.methods:
        if name == "teacher" or grid.base_of(name) in REFERENCES:
            continue
        for metric in METRICS:
            value = grid.metric(OF_RUNS.get(metric, metric))
            strong, weak = (value[:, grid.methods.index(m)] for m in (name, "teacher"))
            row: dict[str, Any] = {"method": name, "metric": metric, "cells": len(grid.points)}
            for what, of, draws in (("accuracy", "w2s", strong), ("gain", "gain", strong - weak)):
                part = predicted[(predicted["method"] == of) & (predicted["metric"] == metric)]
                here = part.set_index(["eta_l", "eta_u"])["mean"].reindex(index).to_numpy()
                row[what] = _spearman(here, np.nanmean(draws, axis=1))
                resampled = [_spearman(here, np.nanmean(draws[:, pick], axis=1)) for pick in again]
                row[f"{what}_low"], row[f"{what}_high"] = np.quantile(resampled, [0.025, 0.975])
            rows.append(row)
    return pd.DataFrame(rows)


def _spearman(x: Floats, y: Floats) -> float:
    """NaN where either is constant, or for fewer than three cells."""
    if len(x) < 3 or not (np.ptp(x) and np.ptp(y)):
        return np.nan
    return float(stats.spearmanr(x, y).statistic)


def compare(predicted: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell, method and metric that both tables have.

    predicted, predicted_low, predicted_high, predicted_error; measured, measured_low,
    measured_high (the range of 95 % of draws, by quantiles), measured_error (of the mean);
    inside, of n: draws within the predicted band.
    """
    keys = [*CELL, "method", "metric"]
    both = predicted.merge(measured, on=keys, suffixes=("", "_measured"), validate="one_to_one")
    rows = []
    for _, row in both.iterrows():
        draws = np.asarray(row["draws"])
        draws = draws[np.isfinite(draws)]
        low, high = np.quantile(draws, [0.025, 0.975]) if len(draws) else (np.nan, np.nan)
        rows.append(
            {
                **{key: row[key] for key in keys},
                "predicted": row["mean"], "predicted_low": row["low"],
                "predicted_high": row["high"], "predicted_error": row["error"],
                "measured": row["mean_measured"], "measured_low": low, "measured_high": high,
                "measured_error": row["error_measured"],
                "inside": int(((draws >= row["low"]) & (draws <= row["high"])).sum()),
                "n": len(draws),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def is_near(predicted: Floats, measured: Floats, error: Floats) -> Mask:
    """Whether a mean is predicted within NEAR or STANDARD_ERRORS (error) of the measured one."""
    return np.asarray(np.abs(predicted - measured) <= np.maximum(NEAR, STANDARD_ERRORS * error))


def is_clear(measured: Floats, error: Floats) -> Mask:
    """Whether a measured gain is more than STANDARD_ERRORS (error) from 0."""
    return np.asarray(np.abs(measured) > STANDARD_ERRORS * error)


def wrong_sign(gains: pd.DataFrame) -> Mask:
    """Rows of `compare` whose gain is predicted on the other side of 0 than clearly measured."""
    predicted, measured, error = _means(gains)
    return np.asarray(is_clear(measured, error) & (np.sign(predicted) != np.sign(measured)))


def agreement(cells: pd.DataFrame) -> Agreement:
    """Agreement over rows of `compare`, of one method and metric."""
    x, y, error = _means(cells)
    total = float(((y - y.mean()) ** 2).sum())
    return Agreement(
        1 - float(((y - x) ** 2).sum()) / total if total else np.nan,
        # A single draw has no standard error.
        float(is_near(x, y, np.nan_to_num(error)).mean()),
        float(cells["inside"].sum() / max(cells["n"].sum(), 1)),
        _spearman(x, y),
    )


def _means(cells: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Predicted and measured means, and standard errors of the latter."""
    predicted, measured, error = (
        cells[name].to_numpy() for name in ("predicted", "measured", "measured_error")
    )
    return predicted, measured, error
