"""Predictions and measurements as long tables: one row a cell, method and metric."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.methods import METHODS as METHODS_BY_NAME
from w2s_groups.methods.variants import base_of
from w2s_groups.prediction.agreement import is_clear, is_near
from w2s_groups.prediction.estimates import forecast
from w2s_groups.prediction.ridge import Prediction
from w2s_groups.results.grid import Grid
from w2s_groups.results.risks import gain

METRICS = ("average", "minority", "worst_group")
METHODS = ("teacher", "w2s", "gain")
RETRAINED = ("retrained", "retrained_gain")  # of a selection; the gain is that over the student
CELL = ["n_l", "eta_l", "n_u", "eta_u"]

Floats = NDArray[np.float64]
Mix = tuple[int, float]  # size and minority fraction


class Match(NamedTuple):
    """How predictions meet measurements over cells; spearman is NaN for fewer than three cells."""

    r2: float
    near: float
    coverage: float
    spearman: float


def predictions(
    found: Prediction,
    labelled: Sequence[Mix],
    unlabelled: Sequence[Mix],
    groups: Groups,
    priors: Floats,
) -> pd.DataFrame:
    """Rows of every cell (labelled mix, unlabelled mix): columns CELL, method, metric and

    mean, low, high (of 95 % of draws), error (of the mean, from the number of samples), and for
    each gain `positive`, the chance that it is above 0.
    """
    cells = [(*left, *right) for left, right in itertools.product(labelled, unlabelled)]
    shape = (len(labelled), len(unlabelled))
    parts = []
    for metric in METRICS:
        seen = forecast(found, metric, groups, priors)
        columns = [*zip(METHODS, (seen.teacher, seen.student, seen.gain), strict=True)]
        chance = {METHODS[-1]: seen.positive}
        if found.retrained is not None:
            again = forecast(found.refit_pair(), metric, groups, priors)
            columns += zip(RETRAINED, (again.student, again.gain), strict=True)
            chance[RETRAINED[-1]] = again.positive
        for method, estimate in columns:
            part = pd.DataFrame(cells, columns=CELL)
            part["method"], part["metric"] = method, metric
            for name in ("mean", "low", "high", "error"):
                part[name] = _spread(getattr(estimate, name), shape)
            part["positive"] = chance[method].ravel() if method in chance else np.nan
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _spread(values: Floats, shape: tuple[int, int]) -> Floats:
    """Values (L,) of teachers, or of every cell, as one column of all cells."""
    whole = values[:, None] if values.ndim == 1 else values.reshape(shape)
    return np.broadcast_to(whole, shape).ravel()


def measurements(grid: Grid) -> pd.DataFrame:
    """Rows as in `predictions`, of trained heads: mean and its standard error.

    draws: the value of each seed, NaN for one that is missing.
    """
    teacher, student = (grid.methods.index(name) for name in METHODS[:2])
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        value = grid.metric(metric)
        weak, strong = value[:, teacher], value[:, student]
        for method, draws in zip(METHODS, (weak, strong, gain(strong, weak)), strict=True):
            for p, (eta_l, eta_u) in enumerate(grid.points):
                there = draws[p][np.isfinite(draws[p])]
                error = there.std(ddof=1) / np.sqrt(len(there)) if len(there) > 1 else np.nan
                rows.append(
                    {
                        "n_l": grid.n_l, "eta_l": eta_l, "n_u": grid.n_u, "eta_u": eta_u,
                        "method": method, "metric": metric, "error": error,
                        "mean": there.mean() if len(there) else np.nan, "draws": draws[p],
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def order(predicted: pd.DataFrame, grid: Grid, seed: int, resamples: int = 1000) -> pd.DataFrame:
    """How far the predicted student puts the cells in the order of each trained method's.

    One row a method that learns from the teacher, and metric: Spearman's correlation over cells of
    the predicted and the measured mean accuracy, and of the gain, with the 2.5 and 97.5 %
    quantiles over resampled seeds (a seed's cells share draws).
    """
    index = pd.MultiIndex.from_tuples(grid.points)
    again = stream(seed, "predict/order").integers(0, len(grid.seeds), (resamples, len(grid.seeds)))
    rows = []
    for name in grid.methods:
        if name == "teacher" or METHODS_BY_NAME[base_of(name)].reference:
            continue
        for metric in METRICS:
            value = grid.metric(metric)
            strong, weak = (value[:, grid.methods.index(m)] for m in (name, "teacher"))
            row: dict[str, Any] = {"method": name, "metric": metric, "cells": len(grid.points)}
            for what, of, draws in (("accuracy", "w2s", strong), ("gain", "gain", strong - weak)):
                part = predicted[(predicted["method"] == of) & (predicted["metric"] == metric)]
                here = part.set_index(["eta_l", "eta_u"])["mean"].reindex(index).to_numpy()
                row[what] = _spearman(here, np.nanmean(draws, axis=1))
                found = [_spearman(here, np.nanmean(draws[:, pick], axis=1)) for pick in again]
                row[f"{what}_low"], row[f"{what}_high"] = np.quantile(found, [0.025, 0.975])
            rows.append(row)
    return pd.DataFrame(rows)


def _spearman(x: Floats, y: Floats) -> float:
    """NaN where either is constant, or for fewer than three cells."""
    if len(x) < 3 or not (np.ptp(x) and np.ptp(y)):
        return np.nan
    return float(spearmanr(x, y).statistic)


def compare(predicted: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """One row a cell, method and metric that both tables have.

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


def near_cells(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Of rows of `compare`: agreement.is_near; a single draw has no standard error."""
    predicted, measured, error = (
        cells[c].to_numpy() for c in ("predicted", "measured", "measured_error")
    )
    return is_near(predicted, measured, np.nan_to_num(error))


def wrong_sign(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows of gains that are predicted on the other side of 0 than clearly measured."""
    predicted, measured, error = (
        cells[c].to_numpy() for c in ("predicted", "measured", "measured_error")
    )
    wrong = np.sign(predicted) != np.sign(measured)
    return np.asarray(is_clear(measured, error) & wrong)


def match(cells: pd.DataFrame) -> Match:
    """Match over rows of `compare` of one method and metric; R² is about the identity line."""
    x, y = cells["predicted"].to_numpy(), cells["measured"].to_numpy()
    scatter = float(((y - y.mean()) ** 2).sum())
    return Match(
        1 - float(((y - x) ** 2).sum()) / scatter if scatter else np.nan,
        float(near_cells(cells).mean()),
        float(cells["inside"].sum() / max(cells["n"].sum(), 1)),
        _spearman(x, y),
    )
