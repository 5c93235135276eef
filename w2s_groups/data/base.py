"""What every dataset gives: images, texts or features, labels, attributes, split, groups."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2s_groups.design.groups import Groups

TRAIN, VAL, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """N images on disk with their group labels; nothing is decoded to make one.

    files: N paths relative to `root`, with forward slashes. y, a: (N,) integer labels, attributes.
    split: (N,) TRAIN, VAL or TEST. Labelled and unlabelled sets are drawn from TRAIN and VAL rows,
    the test rows are TEST. official: (N,) the split that the images came with, where `split` is
    another; None where it is the same. listed: (N,) place of each image in the list that the data
    came with; None where the images are in that order.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    split: NDArray[np.int64]
    groups: Groups
    official: NDArray[np.int64] | None = None
    listed: NDArray[np.int64] | None = None

    NOUN: ClassVar[str] = "image"

    @property
    def identities(self) -> tuple[str, ...]:
        """What tells the N images apart, whatever order a table lists them in."""
        return self.files

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) group codes."""
        return self.groups.codes(self.y, self.a)

    def only(self, mask: NDArray[np.bool_]) -> ImageDataset:
        """The images of a mask (N,), such as those that can be read."""
        return at(self, np.flatnonzero(mask))


@dataclass(frozen=True, eq=False)
class TextDataset:
    """N texts with their group labels; nothing is tokenised to make one.

    texts: N as they were stored. second: the N other halves where a sample is a pair of texts
    (premise and hypothesis). files: N names, for messages and for features from a file. The rest
    as in ImageDataset.
    """

    name: str
    texts: tuple[str, ...]
    second: tuple[str, ...] | None
    files: tuple[str, ...]
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    split: NDArray[np.int64]
    groups: Groups
    official: NDArray[np.int64] | None = None
    listed: NDArray[np.int64] | None = None

    NOUN: ClassVar[str] = "text"

    @cached_property
    def identities(self) -> tuple[str, ...]:
        """sha256 of each sample's text or texts: the same text has the same one."""
        seconds = self.second or ("",) * len(self.texts)
        pairs = zip(self.texts, seconds, strict=True)
        return tuple(hashlib.sha256("\0".join(pair).encode()).hexdigest() for pair in pairs)

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) group codes."""
        return self.groups.codes(self.y, self.a)


@dataclass(frozen=True, eq=False)
class FeatureDataset:
    """N samples that are features already: side ("teacher", "student") -> (N, d) float32.

    key: text that stands for the content of `features`. The rest as in ImageDataset.
    """

    name: str
    features: Mapping[str, NDArray[np.float32]]
    key: str
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    split: NDArray[np.int64]
    groups: Groups

    NOUN: ClassVar[str] = "sample"

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) group codes."""
        return self.groups.codes(self.y, self.a)


Listed = ImageDataset | TextDataset
Dataset = Listed | FeatureDataset
AnyListed = TypeVar("AnyListed", bound=Listed)


def at(dataset: AnyListed, rows: NDArray[np.int64]) -> AnyListed:
    """The images or texts of the given rows, in their order."""

    def taken(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(values.__getitem__, rows.tolist()))

    official, listed = (
        None if values is None else values[rows] for values in (dataset.official, dataset.listed)
    )
    parts: dict[str, Any] = {"files": taken(dataset.files), "official": official, "listed": listed}
    if isinstance(dataset, TextDataset):
        parts["texts"] = taken(dataset.texts)
        parts["second"] = None if dataset.second is None else taken(dataset.second)
    y, a, split = dataset.y[rows], dataset.a[rows], dataset.split[rows]
    return replace(dataset, y=y, a=a, split=split, **parts)


def in_order(dataset: AnyListed) -> AnyListed:
    """The same images or texts, sorted by what they are: file name, or text and labels.

    Whatever follows from the order of the rows (draws, folds, batches, keys) then follows from
    the data, and not from the lines of the table that lists them.
    """
    labels = zip(dataset.y.tolist(), dataset.a.tolist(), dataset.split.tolist(), strict=True)
    keys = list(zip(dataset.identities, labels, strict=True))
    rows = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    before = rows if dataset.listed is None else dataset.listed[rows]
    return replace(at(dataset, rows), listed=before)


def original_eta(dataset: Dataset) -> float:
    """Minority fraction of the train split that the data came with (eta_o); of the pool without.

    A split of one's own changes nothing of it. 1 where neither has a row.
    """
    official = getattr(dataset, "official", None)
    split = dataset.split if official is None else official
    rows = split == TRAIN if (split == TRAIN).any() else split != TEST
    minority = dataset.groups.is_minority[dataset.codes[rows]]
    return float(minority.mean()) if minority.size else 1.0
