"""What every dataset gives: images or features, labels, attributes, split, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups.groups import Groups

TRAIN, VAL, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """N images on disk with their group labels; nothing is decoded to make one.

    files: N paths relative to `root`, with forward slashes. y, a: (N,) integer labels, attributes.
    split: (N,) TRAIN, VAL or TEST. Labelled and unlabelled sets are drawn from TRAIN and VAL rows,
    the test rows are TEST.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    split: NDArray[np.int64]
    groups: Groups

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) group codes."""
        return self.groups.codes(self.y, self.a)

    def only(self, mask: NDArray[np.bool_]) -> ImageDataset:
        """The images of a mask (N,), such as those that can be read."""
        files = tuple(self.files[row] for row in np.flatnonzero(mask))
        y, a, split = self.y[mask], self.a[mask], self.split[mask]
        return ImageDataset(self.name, self.root, files, y, a, split, self.groups)


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

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) group codes."""
        return self.groups.codes(self.y, self.a)


Dataset = ImageDataset | FeatureDataset
