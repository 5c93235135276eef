"""What a head says of rows: class probabilities, and decisions with the rule for ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from w2s_groups.heads.problem import Head, Predictor, choose

Array = NDArray[np.float64]


def predict_proba(head: Head, X: NDArray[np.floating]) -> Array:
    """(n, C) class probabilities of X (n, d), or the scores of a head of the squared loss."""
    return probabilities(head, np.asarray(X, dtype=np.float64) @ head.coef + head.intercept)


def probabilities(head: Predictor, logits: Array) -> Array:
    """(n, C) from the head's (n, K) logits, as `predict_proba`; scores sum to 1 too."""
    if head.scores:
        return np.concatenate([1 - logits, logits], axis=1) if logits.shape[1] == 1 else logits
    if logits.shape[1] == 1:
        return np.asarray(expit(np.concatenate([-logits, logits], axis=1)))
    return np.asarray(softmax(logits, axis=1))


def decisions(head: Predictor, logits: Array) -> NDArray[np.int64]:
    """(n,) most probable class by (n, K) logits; the first of those within TIE of each other."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.full_like(logits, 0.5 if head.scores else 0.0), logits], axis=1)
    return choose(logits)
