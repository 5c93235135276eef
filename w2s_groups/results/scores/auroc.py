"""Area under the receiver operating characteristic."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.results.scores.rows import Floats, weights_of


def auroc(proba: Floats, y: NDArray[np.int64], weights: ArrayLike | None = None) -> float:
    """Probability that a row of a class has a larger score for it than one of another, in [0, 1].

    Ties count half. Of two classes that of class 1; of more the mean over classes, each against
    the rest. NaN where a class has no rows: the measure is not defined there.
    proba: (n, C) probabilities or scores. y: (n,) classes. weights: (n,), equal by default.
    Sources: Hanley and McNeil, Radiology 143, 1982; Provost and Domingos, 2000 (classes against
    the rest; here without weights by class).
    """
    if not len(proba):
        return float("nan")
    weight, n_classes = weights_of(len(y), weights), proba.shape[1]
    which = [1] if n_classes == 2 else range(n_classes)
    return float(np.mean([_area(proba[:, k], y == k, weight) for k in which]))


def _area(score: Floats, positive: NDArray[np.bool_], weight: Floats) -> float:
    values, place = np.unique(score, return_inverse=True)
    of = np.bincount(place, weight * positive, len(values))
    other = np.bincount(place, weight * ~positive, len(values))
    pairs = of.sum() * other.sum()
    below = np.cumsum(other) - other / 2
    return float(of @ below / pairs) if pairs > 0 else float("nan")
