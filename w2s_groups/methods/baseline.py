"""Strong baseline: the student's head on the teacher's own labelled set, no pseudolabels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class Baseline(OneFit):
    """Student features, true labels of the labelled set."""

    summary: ClassVar[str] = (
        "Strong baseline: the student's head on the labelled set, no pseudolabels"
    )
    sources: ClassVar[tuple[str, ...]] = ("this suite",)
    colour: ClassVar[str] = "#009E73"
    reference: ClassVar[bool] = True

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        return Problem(self.side, draws.labelled, draws.y_labelled, CrossEntropy(), self.l2)
