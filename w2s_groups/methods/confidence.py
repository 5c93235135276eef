"""Confidence loss: the student is pulled towards the teacher's labels and its own decisions.

Burns et al. raise the weight of the second term linearly while they train. Here the head is solved
to the end: descent at full weight starts from the W2S student, where that weight is 0.
Source: Burns et al., Weak-to-Strong Generalization, 2023, eq. 1, threshold 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.heads.problem import Confidence as ConfidenceLoss
from w2s_groups.heads.problem import Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit, check_range


@dataclass
class Confidence(OneFit):
    """alpha: final weight of the student's own decisions, in [0, 1)."""

    alpha: float = MISSING
    summary: ClassVar[str] = (
        "Confidence loss: the teacher's labels, mixed with the student's own decisions"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Burns et al., Weak-to-Strong Generalization, 2023, eq. 1",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "has a loss of class probabilities",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher", "w2s")
    paper_tunes: ClassVar[str] = (
        "no rule is given: alpha rises to 0.75 for the largest students and to 0.5 for the others"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "alpha", 0.0, 0.999)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        targets = solved["teacher"].proba(draws.unlabelled)
        start = solved["w2s"].head
        loss = ConfidenceLoss(self.alpha)
        return Problem(self.side, draws.unlabelled, targets, loss, self.l2, init=start)
