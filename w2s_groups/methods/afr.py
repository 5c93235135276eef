"""Automatic feature reweighting: a second head on held-out pseudolabels, the harder the heavier.

The penalty of the second head pulls it towards the first, as in the paper, and not towards 0. The
held-out part is drawn at random: no label decides which rows it has.
Source: Qiu et al., Simple and Fast Group Robustness by Automatic Feature Reweighting, ICML 2023,
eq. 3, on hard pseudolabels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range, hardened


def hardness_weights(
    p: NDArray[np.float64], labels: NDArray[np.int64], gamma: float
) -> NDArray[np.float64]:
    """(n,) weights exp(-gamma p) / size of the row's class; p: (n,) probability of its label."""
    size = np.bincount(labels)[labels]
    return np.asarray(np.exp(-gamma * p) / size)


@dataclass
class AFR(Method):
    """folds: the first head has all but one of them, the second head that one; gamma >= 0."""

    folds: int = MISSING
    gamma: float = MISSING
    summary: ClassVar[str] = (
        "Automatic feature reweighting: a second head on held-out rows, weighted by hardness"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Qiu et al., Automatic Feature Reweighting, ICML 2023, eq. 3",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "weighs by class probabilities",
        "mlp": "is about the last layer of a frozen network",
        "finetune": "is about the last layer of a frozen network",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher",)
    paper_tunes: ClassVar[str] = (
        "gamma and the penalty towards the first head, by the worst group of a validation set "
        "with group labels"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "folds", 2, 1000)
        check_range(self, "gamma", 0.0, 100.0)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows = draws.unlabelled
        targets = hardened(solved["teacher"].proba(rows))
        labels = targets.argmax(axis=1)
        held_out = np.argsort(np.argsort(draws.shuffle)) % min(self.folds, len(rows)) == 0
        inside = ~held_out
        (first,) = yield [
            Problem(self.side, rows[inside], targets[inside], CrossEntropy(), self.l2)
        ]
        kept, label = rows[held_out], labels[held_out]
        p = first.proba(kept)[np.arange(len(kept)), label]
        weights = hardness_weights(p, label, self.gamma)
        return Problem(
            self.side,
            kept,
            targets[held_out],
            CrossEntropy(),
            self.l2,
            weights,
            centre=first.head,
        )
