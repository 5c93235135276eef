"""Student on everything at hand: true labels where there are, the teacher's elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class Combined(OneFit):
    """Student features, labelled and unlabelled set together, every sample of equal weight."""

    summary: ClassVar[str] = (
        "Labelled and unlabelled set together: true labels, and the teacher's elsewhere"
    )
    sources: ClassVar[tuple[str, ...]] = ("this suite",)
    needs: ClassVar[tuple[str, ...]] = ("teacher",)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        rows = np.concatenate([draws.labelled, draws.unlabelled])
        pseudo = solved["teacher"].proba(draws.unlabelled)
        targets = np.concatenate([draws.y_labelled, pseudo])
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2)
