"""Iterated W2S: the student's soft labels teach the next student of the same kind.

The rounds are those of Noisy Student, whose student becomes the teacher. As everywhere in W2S, a
student sees pseudolabels only; Noisy Student also shows it the labelled images, adds noise and
takes larger networks from round to round.
Source: Xie et al., Self-Training with Noisy Student, CVPR 2020, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range


@dataclass
class Iterated(Method):
    """rounds: students after the W2S student, each on the soft labels of the one before."""

    rounds: int = MISSING
    summary: ClassVar[str] = (
        "Iterated W2S: the student's soft labels teach the next student, round after round"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Xie et al., Self-Training with Noisy Student, CVPR 2020, algorithm 1",
    )
    needs: ClassVar[tuple[str, ...]] = ("w2s",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "rounds", 1, 1000)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows, student = draws.unlabelled, solved["w2s"]
        for left in range(self.rounds, 0, -1):
            targets = student.proba(rows)
            problem = Problem(self.side, rows, targets, CrossEntropy(), self.l2, init=student.head)
            if left > 1:
                (student,) = yield [problem]
        return problem
