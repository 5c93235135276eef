"""RAVEN: the student learns how much weight each of several weak teachers deserves.

The loss is the student's cross-entropy with the weighted average of the teachers' probabilities,
lowered over the student and over the weights, which sum to 1. It starts on the easy samples, on
which all teachers decide alike, with equal weights. As in the authors' code, one set of weights
serves all samples.
Departures: the teachers are heads of one weak network on resamples of the labelled set, not
networks trained on different domains. Steps alternate: the student is solved to its optimum, then
the weights take one step of exponentiated gradient, w_k ∝ w_k exp(-step · loss with teacher k),
where the authors take a gradient step of both per batch and scale the weights to sum 1. The loss is
linear in the weights, so that full steps would leave all weight on one teacher; `rounds` ends them.
Source: Jeon et al., Weak-to-Strong Generalization under Distribution Shifts, NeurIPS 2025 (arXiv
2510.21332), and its published code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem, choose
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range
from w2s_groups.methods.several_teachers import weak_problems


def easy(proba: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) rows that all teachers decide alike; every row if there is none. proba: (k, n, C)."""
    decided = np.stack([choose(own) for own in proba])
    alike = (decided == decided[0]).all(axis=0)
    return alike if alike.any() else np.ones_like(alike)


def stepped(
    weights: NDArray[np.float64],
    teachers: NDArray[np.float64],
    student: NDArray[np.float64],
    step: float,
) -> NDArray[np.float64]:
    """(k,) weights after one step: larger for teachers that the student agrees with.

    teachers: (k, n, C) and student: (n, C) probabilities.
    """
    log_student = np.log(np.maximum(student, np.finfo(float).tiny))
    losses = -(teachers * log_student).sum(axis=2).mean(axis=1)
    raised = weights * np.exp(-step * (losses - losses.min()))
    return np.asarray(raised / raised.sum())


@dataclass
class Raven(Method):
    """teachers: how many; step: of the weights; rounds: students after the first."""

    teachers: int = MISSING
    l2_teachers: float = MISSING
    step: float = MISSING
    rounds: int = MISSING
    summary: ClassVar[str] = "RAVEN: learns the weights of several weak teachers with the student"
    sources: ClassVar[tuple[str, ...]] = ("Jeon et al., RAVEN, NeurIPS 2025 (arXiv 2510.21332)",)
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "has a loss of class probabilities",
    }
    tunes: ClassVar[str] = "the teachers' weights, by agreement on the unlabelled set"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "teachers", 1, 100)
        check_range(self, "l2_teachers", 1e-12, 1e6)
        check_range(self, "step", 0.0, 1e6)
        check_range(self, "rounds", 1, 1000)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows = draws.unlabelled
        fitted = yield weak_problems(draws, self.teachers, self.l2_teachers)
        teachers = np.stack([teacher.proba(rows) for teacher in fitted])
        first, targets = easy(teachers), teachers.mean(axis=0)
        problem = Problem(self.side, rows[first], targets[first], CrossEntropy(), self.l2)
        weights = np.full(len(teachers), 1 / len(teachers))
        for _ in range(self.rounds):
            (student,) = yield [problem]
            weights = stepped(weights, teachers, student.proba(rows), self.step)
            targets = (weights[:, None, None] * teachers).sum(axis=0)
            problem = Problem(self.side, rows, targets, CrossEntropy(), self.l2, init=student.head)
        return problem
