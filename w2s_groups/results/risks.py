"""Predictions and groups -> records (accuracy and n per group), and the aggregates of records.

Derived numbers take accuracies `values` (..., G) over group codes and return (...). An absent group
is NaN and n = 0. A mean that gives an absent group weight is NaN; `worst_group` and `best_group`
look at the groups that are there, so show them together with the n of the smallest group.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError

Floats = NDArray[np.float64]


def accuracy_by_group(
    pred: ArrayLike, y: ArrayLike, codes: ArrayLike, n_groups: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Accuracy (G,) in [0, 1] and number of samples n (G,) of each group code.

    pred: (N,) integer labels, or (N, C) scores whose largest entry is the label; y, codes: (N,)
    integers. One-dimensional float scores raise InputError: they never equal a label.
    """
    labels, truth, code = _labels(pred), np.asarray(y), np.asarray(codes)
    if not labels.shape == truth.shape == code.shape:
        raise InputError(
            f"pred, y and codes have {labels.shape}, {truth.shape} and {code.shape} entries: "
            "give one of each per sample"
        )
    for field, array in (("y", truth), ("codes", code)):
        if array.size and array.dtype.kind not in "biu":
            raise InputError(f"{field} has dtype {array.dtype}: labels are integers; convert them")
    code = code.astype(np.int64)
    if code.size and not 0 <= code.min() <= code.max() < n_groups:
        raise InputError(
            f"codes={code.min()}..{code.max()} leave 0..{n_groups - 1}: code groups for the whole "
            "dataset, not per split"
        )
    n = np.bincount(code, minlength=n_groups)
    right = np.bincount(code[labels == truth], minlength=n_groups)
    value = np.divide(right, n, out=np.full(n_groups, np.nan), where=n > 0)
    return value, n.astype(np.int64)


def risk_by_group(
    errors: ArrayLike, codes: ArrayLike, n_groups: int, scale: float = 1.0
) -> tuple[Floats, NDArray[np.int64]]:
    """Risk (G,), the mean squared error times `scale`, and number of samples n (G,) of each group.

    errors: (N,) prediction - target; codes: (N,) integers in 0..n_groups-1.
    """
    error, code = np.asarray(errors, dtype=np.float64), np.asarray(codes, dtype=np.int64)
    n = np.bincount(code, minlength=n_groups)
    total = np.bincount(code, np.square(error), n_groups)
    risk = scale * np.divide(total, n, out=np.full(n_groups, np.nan), where=n > 0)
    return np.asarray(risk, dtype=np.float64), n.astype(np.int64)


def risk_errors(errors: ArrayLike, codes: ArrayLike, n_groups: int, scale: float = 1.0) -> Floats:
    """Standard error (G,) of each group's risk over its samples; NaN for fewer than two.

    errors, codes, scale: as in risk_by_group.
    """
    square, code = np.square(np.asarray(errors, dtype=np.float64)), np.asarray(codes, np.int64)
    mean, n = risk_by_group(errors, code, n_groups)
    scatter = np.bincount(code, np.square(square - mean[code]), n_groups)
    some = np.where(n > 1, n, 2)
    error = scale * np.sqrt(scatter / (some - 1) / some)
    return np.asarray(np.where(n > 1, error, np.nan), dtype=np.float64)


def _labels(pred: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(pred)
    if array.ndim == 2 and array.shape[1] >= 2:
        if np.isnan(array).any():
            row = int(np.flatnonzero(np.isnan(array).any(axis=1))[0])
            raise InputError(f"pred={array[row]} in row {row} holds nan: scores must be numbers")
        return np.asarray(array.argmax(axis=1), dtype=np.int64)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
        raise InputError(
            f"pred has shape {array.shape} and dtype {array.dtype}: give integer labels (N,) or "
            "scores (N, C) with a column per class; threshold a single score first"
        )
    return np.asarray(array, dtype=np.int64)


def group_weights(
    y: ArrayLike, minority: ArrayLike, eta_t: float, class_prior: ArrayLike | None = None
) -> Floats:
    """(G,) shares of the test mix with minority fraction eta_t; they sum to 1.

    y: (G,) class of each group, minority: (G,) mask, class_prior: (C,), uniform by default.
    The mix is eta_t * minority part + (1 - eta_t) * majority part. In each part a class has its
    prior, split equally over its groups there; a class without groups in a part leaves its share
    of that part to the other classes. The draws (sampling.group_counts) hold the class sizes
    instead: the two agree wherever every class has minority and majority groups.
    """
    if not 0.0 <= eta_t <= 1.0:
        raise InputError(f"eta_t={eta_t} must lie in [0, 1]: it is the test set's minority share")
    classes, mask = np.asarray(y, dtype=np.int64), np.asarray(minority, dtype=bool)
    present = np.unique(classes)
    prior = np.full(present[-1] + 1, 1.0) if class_prior is None else np.asarray(class_prior)
    weights = np.zeros(classes.size)
    for part, share in ((mask, eta_t), (~mask, 1.0 - eta_t)):
        here = np.intersect1d(classes[part], present)
        for label in here:
            members = part & (classes == label)
            weights[members] = share * prior[label] / prior[here].sum() / members.sum()
    total = weights.sum()
    return weights / total if total > 0 else np.full(classes.size, np.nan)


def weighted_mean(values: ArrayLike, weights: ArrayLike) -> Floats:
    """Mean over groups; weights (..., G) need not sum to 1. NaN where a weighted group is absent.

    A group of weight 0 plays no part, absent or not; no weight at all is NaN.
    """
    value, weight = np.broadcast_arrays(
        np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    )
    total = weight.sum(axis=-1)
    products = np.where(weight == 0.0, 0.0, value * weight).sum(axis=-1)
    mean: Floats = np.divide(products, total, out=np.full(total.shape, np.nan), where=total > 0)
    return mean


def eta_mean(
    values: ArrayLike,
    y: ArrayLike,
    minority: ArrayLike,
    eta_t: float,
    class_prior: ArrayLike | None = None,
) -> Floats:
    """Accuracy at the test mix eta_t, exact from group accuracies. See group_weights."""
    return weighted_mean(values, group_weights(y, minority, eta_t, class_prior))


def minority_accuracy(
    values: ArrayLike, y: ArrayLike, minority: ArrayLike, class_prior: ArrayLike | None = None
) -> Floats:
    """Accuracy at eta_t = 1: LDL25's worst group."""
    return eta_mean(values, y, minority, 1.0, class_prior)


def majority_accuracy(
    values: ArrayLike, y: ArrayLike, minority: ArrayLike, class_prior: ArrayLike | None = None
) -> Floats:
    """Accuracy at eta_t = 0: LDL25's best group."""
    return eta_mean(values, y, minority, 0.0, class_prior)


def worst_group(values: ArrayLike) -> Floats:
    """Lowest accuracy over the groups present in one run; NaN where none is."""
    value = np.asarray(values, dtype=np.float64)
    lowest: Floats = np.where(np.isnan(value), np.inf, value).min(axis=-1)
    return np.where(np.isinf(lowest), np.nan, lowest)


def best_group(values: ArrayLike) -> Floats:
    """Highest accuracy over the groups present in one run; NaN where none is."""
    return -worst_group(-np.asarray(values, dtype=np.float64))


def balanced_mean(values: ArrayLike) -> Floats:
    """Mean over groups, each with the same weight."""
    return weighted_mean(values, np.ones(np.asarray(values).shape[-1]))


def sample_mean(values: ArrayLike, n: ArrayLike) -> Floats:
    """Mean over samples; n: (..., G) samples per group. An absent group has none to count."""
    return weighted_mean(values, n)


def train_weighted_mean(values: ArrayLike, labelled: ArrayLike) -> Floats:
    """Mean weighted by the labelled set's realised counts (..., G)."""
    return weighted_mean(values, labelled)


def gain(student: ArrayLike, teacher: ArrayLike) -> Floats:
    """metric(student) - metric(teacher) of the same cell, for accuracies: positive is better."""
    return np.asarray(student, dtype=np.float64) - np.asarray(teacher, dtype=np.float64)
