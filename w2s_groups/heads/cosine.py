"""Head that compares directions: logits are scaled cosines with one vector a class.

Nothing is fitted. Zero-shot classifiers of networks of images and texts are of this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CHUNK = 4096  # rows at a time


@dataclass(frozen=True, eq=False)
class CosineHead:
    """Logit of class c for features x: scale · cos(P (x · unit + mean) + bias, direction c).

    unit, mean: (d,) undo the features' standardisation; projection: (d, e), bias: (e,);
    directions: (C, e) of length 1.
    """

    mean: Array
    unit: Array
    projection: Array
    bias: Array
    directions: Array
    scale: float
    scores: bool = False

    def logits(self, X: NDArray[np.floating], rows: NDArray[np.int64]) -> Array:
        """See heads.problem.Predictor: (n, K), of two classes the second's lead on the first."""
        parts = [self._chunk(X[rows[at : at + CHUNK]]) for at in range(0, len(rows), CHUNK)]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.directions)))
        return found[:, 1:] - found[:, :1] if found.shape[1] == 2 else found

    def arrays(self) -> Sequence[NDArray[np.floating]]:
        """See heads.problem.Predictor."""
        whole = np.array([self.scale])
        return [self.mean, self.unit, self.projection, self.bias, self.directions, whole]

    def _chunk(self, x: NDArray[np.floating]) -> Array:
        embedded = (x * self.unit + self.mean) @ self.projection + self.bias
        length = np.linalg.norm(embedded, axis=1, keepdims=True)
        unit = embedded / np.maximum(length, np.finfo(float).tiny)
        return np.asarray(self.scale * unit @ self.directions.T)
