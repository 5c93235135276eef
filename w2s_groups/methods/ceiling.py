"""Strong ceiling: the student's head on the true labels of the unlabelled set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class Ceiling(OneFit):
    """Student features, true labels of the unlabelled set: what perfect pseudolabels would give."""

    summary: ClassVar[str] = (
        "Strong ceiling: the student's head on the true labels of the unlabelled set"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Burns et al., Weak-to-Strong Generalization, 2023, section 3",
    )
    colour: ClassVar[str] = "#808080"
    needs_truth: ClassVar[bool] = True
    reference: ClassVar[bool] = True

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        assert draws.y_unlabelled is not None
        return Problem(self.side, draws.unlabelled, draws.y_unlabelled, CrossEntropy(), self.l2)
