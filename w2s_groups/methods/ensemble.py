"""W2S on the average of several weak teachers' probabilities.

The teachers are heads of the one weak network on resamples of the labelled set; Jeon et al. take
networks that were trained one by one.
Source: Jeon et al., Weak-to-Strong Generalization under Distribution Shifts, NeurIPS 2025, where
an ensemble of fixed, equal weights is what RAVEN is compared with; Breiman, Bagging Predictors,
1996.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range
from w2s_groups.methods.several_teachers import weak_problems


@dataclass
class Ensemble(Method):
    """teachers: how many; l2_teachers: of their heads."""

    teachers: int = MISSING
    l2_teachers: float = MISSING
    summary: ClassVar[str] = "W2S on the average of several weak teachers' probabilities"
    sources: ClassVar[tuple[str, ...]] = (
        "Breiman, Bagging Predictors, Machine Learning 1996",
        "Jeon et al., RAVEN, NeurIPS 2025, its baseline of equal weights",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "teachers", 1, 100)
        check_range(self, "l2_teachers", 1e-12, 1e6)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows = draws.unlabelled
        teachers = yield weak_problems(draws, self.teachers, self.l2_teachers)
        targets = np.mean([teacher.proba(rows) for teacher in teachers], axis=0)
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2)
