"""W2S student: the strong head fitted on the teacher's soft pseudolabels (LDL25, stage 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class W2S(OneFit):
    """Student features, teacher's probabilities on the unlabelled set."""

    summary: ClassVar[str] = "W2S student: the strong head on the teacher's soft pseudolabels"
    sources: ClassVar[tuple[str, ...]] = ("LDL25, stage 2",)
    colour: ClassVar[str] = "#0072B2"
    needs: ClassVar[tuple[str, ...]] = ("teacher",)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        targets = solved["teacher"].proba(draws.unlabelled)
        return Problem(self.side, draws.unlabelled, targets, CrossEntropy(), self.l2)
