"""Control: weak = strong, student and teacher read the same features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class SelfDistilled(OneFit):
    """W2S with the teacher's own features in place of the student's."""

    summary: ClassVar[str] = (
        "Control: W2S with the teacher's features, so that student and teacher are equally strong"
    )
    sources: ClassVar[tuple[str, ...]] = ("this suite",)
    side: ClassVar[str] = "teacher"
    reference: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("teacher",)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        targets = solved["teacher"].proba(draws.unlabelled)
        return Problem(self.side, draws.unlabelled, targets, CrossEntropy(), self.l2)
