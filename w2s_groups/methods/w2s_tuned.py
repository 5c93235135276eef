"""W2S student of the tuned teacher.

Source: Burns et al., Weak-to-Strong Generalization, 2023, section 3, with a teacher chosen by
cross-validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class W2STuned(OneFit):
    """Student features, the tuned teacher's probabilities on the unlabelled set."""

    summary: ClassVar[str] = "W2S student of the tuned teacher"
    sources: ClassVar[tuple[str, ...]] = (
        "Burns et al., Weak-to-Strong Generalization, 2023, section 3",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "builds on tuned_teacher, which is chosen by log loss",
    }
    needs: ClassVar[tuple[str, ...]] = ("tuned_teacher",)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        targets = solved["tuned_teacher"].proba(draws.unlabelled)
        return Problem(self.side, draws.unlabelled, targets, CrossEntropy(), self.l2)
