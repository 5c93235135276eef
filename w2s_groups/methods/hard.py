"""W2S on hard pseudolabels: the teacher's decisions instead of its probabilities.

Source: Burns et al., Weak-to-Strong Generalization, 2023, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit, hardened


@dataclass
class Hard(OneFit):
    """Student features, teacher's most probable class on the unlabelled set."""

    summary: ClassVar[str] = (
        "W2S on hard pseudolabels: the teacher's decisions in place of its probabilities"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Burns et al., Weak-to-Strong Generalization, 2023, section 4",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "regression": "takes decisions between classes",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher",)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        targets = hardened(solved["teacher"].proba(draws.unlabelled))
        return Problem(self.side, draws.unlabelled, targets, CrossEntropy(), self.l2)
