"""Whether what a dataset of another package loads is one: each fault in one sentence."""

from __future__ import annotations

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, VAL, Dataset, FeatureDataset, Listed


def check(dataset: Dataset, what: str) -> None:
    """Raise InputError unless labels, split and features have the shapes and values of a Dataset.

    what: whose dataset it is, for the sentence.
    """
    if not isinstance(dataset, Listed | FeatureDataset):
        raise InputError(
            f"{what}: load returned a {type(dataset).__name__}; return an ImageDataset, "
            "TextDataset, TableDataset or FeatureDataset"
        )
    n = len(dataset.y)
    groups = dataset.groups
    top = {"y": len(groups.class_names), "a": len(groups.attribute_names), "split": TEST + 1}
    for name, size in top.items():
        values = np.asarray(getattr(dataset, name))
        if values.shape != (n,) or values.dtype.kind not in "iu":
            raise InputError(
                f"{what}: {name} has shape {values.shape} and type {values.dtype}; it must be "
                f"({n},) whole numbers, one for each sample"
            )
        if n and not (values.min() >= 0 and values.max() < size):
            raise InputError(
                f"{what}: {name} reaches from {values.min()} to {values.max()}; it must lie in "
                f"0..{size - 1}"
            )
    if not np.isin([TRAIN, VAL], dataset.split).any():
        raise InputError(f"{what}: split has no training or validation rows; mark some as TRAIN")
    _check_target(dataset, what)
    if isinstance(dataset, FeatureDataset):
        _check_features(dataset, what)
    elif len(dataset.files) != n:
        raise InputError(f"{what}: files has {len(dataset.files)} names for {n} samples")


def _check_target(dataset: Dataset, what: str) -> None:
    target = dataset.target
    if target is not None and (target.shape != dataset.y.shape or not np.isfinite(target).all()):
        raise InputError(
            f"{what}: target has shape {target.shape}; it must be {dataset.y.shape} finite numbers"
        )


def _check_features(dataset: FeatureDataset, what: str) -> None:
    for side in ("teacher", "student"):
        matrix = np.asarray(dataset.features.get(side, np.empty(0)))
        if matrix.ndim != 2 or len(matrix) != len(dataset.y) or not matrix.size:
            raise InputError(
                f"{what}: features of the {side} have shape {matrix.shape}; they must be "
                f"({len(dataset.y)}, d)"
            )
        if not np.isfinite(matrix).all():
            raise InputError(f"{what}: features of the {side} hold nan or inf; drop those rows")
    if not dataset.key:
        raise InputError(f"{what}: key is empty; it must stand for the content of the features")
