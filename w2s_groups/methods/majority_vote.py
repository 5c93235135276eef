"""W2S on the class that most of several weak teachers decide for.

Classes with equally many votes are told apart by the teachers' average probability.
Source: Breiman, Bagging Predictors, Machine Learning 1996, where predictors on bootstrap resamples
vote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range, hardened
from w2s_groups.methods.several_teachers import weak_problems


def majority(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, C) one-hot votes of most teachers. proba: (k, n, C) of k teachers.

    Classes that tie go to the larger average probability; equal ones to the first class.
    """
    votes = sum(hardened(own) for own in proba)
    tied = votes == np.max(votes, axis=1, keepdims=True)
    return hardened(np.where(tied, proba.mean(axis=0), -np.inf))


@dataclass
class MajorityVote(Method):
    """teachers: how many; l2_teachers: of their heads."""

    teachers: int = MISSING
    l2_teachers: float = MISSING
    summary: ClassVar[str] = "W2S on the class that most of several weak teachers decide for"
    sources: ClassVar[tuple[str, ...]] = ("Breiman, Bagging Predictors, Machine Learning 1996",)
    unsupported: ClassVar[Mapping[str, str]] = {
        "regression": "counts decisions between classes",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "teachers", 1, 100)
        check_range(self, "l2_teachers", 1e-12, 1e6)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows = draws.unlabelled
        teachers = yield weak_problems(draws, self.teachers, self.l2_teachers)
        targets = majority(np.stack([teacher.proba(rows) for teacher in teachers]))
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2)
