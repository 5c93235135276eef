"""The contract of a dataset: what its settings load, twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.data import checks
from w2s_groups.data.base import TEST, Dataset, DatasetConfig, FeatureDataset


def check_dataset(config: DatasetConfig) -> None:
    """Raise AssertionError unless a dataset's settings load samples as the suite needs them.

    Labels, attributes and splits are codes of the right shape, every group is in the test set, and
    the settings load the same whenever they are asked.
    """
    what = f"the dataset {config.name}"
    with tempfile.TemporaryDirectory() as folder:
        first, again = (config.load(Path(folder)) for _ in range(2))
    try:
        checks.check(first, what)
    except InputError as error:
        raise AssertionError(str(error)) from error
    absent = sorted(set(range(first.groups.n_groups)) - set(first.codes[first.split == TEST]))
    if absent:
        names = ", ".join(first.groups.names[g] for g in absent)
        raise AssertionError(f"{what} has no test samples of {names}; add some")
    if config.NETWORKS and not isinstance(first, FeatureDataset):
        raise AssertionError(f"{what} names NETWORKS and brings no features; leave NETWORKS out")
    if isinstance(first, FeatureDataset) and len(config.NETWORKS) != 2:
        raise AssertionError(f"{what} is features already; name both feature maps in NETWORKS")
    if not _alike(first, again):
        raise AssertionError(f"{what} differs when it is loaded again; draw by a seed of its own")


def _alike(one: Dataset, other: Dataset) -> bool:
    same = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ("y", "a", "split"))
    if isinstance(one, FeatureDataset) and isinstance(other, FeatureDataset):
        same &= one.key == other.key
        same &= all(np.array_equal(one.features[s], other.features[s]) for s in one.features)
    return same
