"""Adaptive confidence: how far the student trusts its own decision is set sample by sample.

Loss of a sample: (1 - beta) CE(student, teacher's soft label) + beta CE(student, own decision) with
beta = e^a / (e^a + e^b), a = CE(student, own decision), b = CE(student, teacher's decision): 1/2
where the two decide alike, and the less where they do not, the surer the student is. beta is held
constant under the gradient, as in the authors' code; temperature 1. Minimised by rounds: beta and
decisions of the present student, then a fit on the mixed targets.
Source: Guo et al., Vision Superalignment: Weak-to-Strong Generalization for Vision Foundation
Models, 2024 (arXiv 2402.03749), eq. 2.
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


def mixed_targets(
    student: NDArray[np.float64], teacher: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, C) rows (1 - beta) teacher + beta own decision, from probabilities (n, C)."""
    own = hardened(student)
    of_own = (own * student).sum(axis=1)
    of_teachers = (hardened(teacher) * student).sum(axis=1)
    beta = (of_teachers / (of_own + of_teachers))[:, None]  # e^CE of a hard label is 1 / p
    return np.asarray((1 - beta) * teacher + beta * own)


@dataclass
class AdaptiveConfidence(Method):
    """rounds: fits on targets mixed anew, the first from the W2S student."""

    rounds: int = MISSING
    summary: ClassVar[str] = (
        "Adaptive confidence: each sample sets the weight of the student's own decision"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Guo et al., Vision Superalignment, 2024 (arXiv 2402.03749), eq. 2",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "has a loss of class probabilities",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher", "w2s")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "rounds", 1, 1000)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows, student = draws.unlabelled, solved["w2s"]
        teacher = solved["teacher"].proba(rows)
        for left in range(self.rounds, 0, -1):
            targets = mixed_targets(student.proba(rows), teacher)
            problem = Problem(self.side, rows, targets, CrossEntropy(), self.l2, init=student.head)
            if left > 1:
                (student,) = yield [problem]
        return problem
