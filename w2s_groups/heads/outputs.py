"""Outputs of a head on rows: class probabilities, decisions with the rule for ties, numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import special
from w2s_groups.heads.problem import Predictor, choose

Array = NDArray[np.float64]


def probabilities(head: Predictor, logits: Array) -> Array:
    """(n, C) class probabilities, or scores that sum to 1, from the head's (n, K) logits."""
    if head.scores:
        return np.concatenate([1 - logits, logits], axis=1) if logits.shape[1] == 1 else logits
    if logits.shape[1] == 1:
        return np.asarray(special.expit(np.concatenate([-logits, logits], axis=1)))
    return np.asarray(special.softmax(logits, axis=1))


def numbers(head: Predictor, logits: Array) -> Array:
    """(n, 1) predictions of a numeric target: the head's scores as they stand."""
    return logits


def decisions(head: Predictor, logits: Array) -> NDArray[np.int64]:
    """(n,) most probable class by (n, K) logits; the first of those within TIE of each other."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.full_like(logits, 0.5 if head.scores else 0.0), logits], axis=1)
    return choose(logits)
