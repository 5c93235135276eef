"""W2S on pseudolabels that are smoothed over a graph of the student's features.

Each unlabelled image is joined to its k nearest ones in the student's features. The smoothed labels
F of the weak labels Y solve F = (1 - alpha) Y + alpha (mean of F over the neighbours).
Lang et al. smooth weak labels over a graph of samples; k, alpha and the graph are chosen here, and
the fixed point is that of label spreading, with the mean over neighbours for its symmetric scaling,
so that labels stay probabilities. No label enters the graph.
Source: Lang et al., Selective Weak-to-Strong Generalization, AAAI 2026 (arXiv 2511.14166); Zhou et
al., Learning with Local and Global Consistency, NeurIPS 2003.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit, check_range

LEFT = 1e-12  # of the first error of the fixed point, which falls by alpha a step


def smoothed(
    targets: NDArray[np.float64], neighbours: NDArray[np.integer], alpha: float
) -> NDArray[np.float64]:
    """(n, C) the fixed point of F = (1 - alpha) targets + alpha mean of F over neighbours.

    targets: (n, C); neighbours: (n, k) positions; alpha in [0, 1).
    """
    found = targets
    for _ in range(math.ceil(math.log(LEFT) / math.log(alpha)) if alpha > 0 else 0):
        found = (1 - alpha) * targets + alpha * found[neighbours].mean(axis=1)
    return found


@dataclass
class GraphSmoothed(OneFit):
    """k: neighbours of each image; alpha: weight of their labels, in [0, 0.99]."""

    k: int = MISSING
    alpha: float = MISSING
    summary: ClassVar[str] = (
        "W2S on pseudolabels smoothed over nearest neighbours in the student's features"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Lang et al., Selective Weak-to-Strong Generalization, AAAI 2026",
        "Zhou et al., Learning with Local and Global Consistency, NeurIPS 2003",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "finetune": "joins neighbours among features that do not change",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher",)
    needs_neighbours: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "k", 1, 1000)
        check_range(self, "alpha", 0.0, 0.99)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        assert draws.neighbours is not None
        weak = solved["teacher"].proba(draws.unlabelled)
        targets = smoothed(weak, draws.neighbours(self.k), self.alpha)
        return Problem(self.side, draws.unlabelled, targets, CrossEntropy(), self.l2)
