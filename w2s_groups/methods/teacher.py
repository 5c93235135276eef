"""Weak teacher: L2-regularised logistic head on the labelled set (LDL25, stage 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class Teacher(OneFit):
    """Teacher features, true labels of the labelled set."""

    summary: ClassVar[str] = "Weak teacher: the teacher's head on the labelled set"
    sources: ClassVar[tuple[str, ...]] = ("LDL25, stage 1",)
    colour: ClassVar[str] = "#000000"
    side: ClassVar[str] = "teacher"
    reference: ClassVar[bool] = True

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        return Problem(self.side, draws.labelled, draws.y_labelled, CrossEntropy(), self.l2)
