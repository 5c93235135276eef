"""Adaptive confidence: each sample decides how far the student trusts its own decision.

That decision's share is beta(x) = sigma(CE to the teacher - CE to the decision): from 1/2 where the
two agree to 1 where the student is sure and the teacher is not of its mind. The paper's loss mixes
the two cross-entropies by such a weight of both; its formula was not at hand, so this is one after
it. Minimised by rounds: beta and decisions of the present student, then a fit on the mixed targets.
After Guo et al., Vision Superalignment: Weak-to-Strong Generalization for Vision Foundation Models,
2024 (arXiv 2402.03749).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING
from scipy.special import expit

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range, hardened


def mixed_targets(
    student: NDArray[np.float64], teacher: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, C) rows (1 - beta) teacher + beta own decision, from probabilities (n, C)."""
    log_p = np.log(np.maximum(student, np.finfo(float).tiny))
    own = hardened(student)
    to_teacher, to_own = -(teacher * log_p).sum(axis=1), -(own * log_p).sum(axis=1)
    beta = expit(to_teacher - to_own)[:, None]
    return np.asarray((1 - beta) * teacher + beta * own)


@dataclass
class AdaptiveConfidence(Method):
    """rounds: fits on targets mixed anew, the first from the W2S student."""

    rounds: int = MISSING
    needs: ClassVar[tuple[str, ...]] = ("teacher", "w2s")
    by_ridge: ClassVar[bool] = False

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
