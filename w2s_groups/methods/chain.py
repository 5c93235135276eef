"""Chain of students: each labels the unlabelled set for the next, which is less held back.

Burns et al. bootstrap through models of rising size between the weak and the strong one. With two
frozen networks there is none between them. Here the size of a student is its effective number of
parameters, which l2 sets: student k of K reads the strong features and has l2 · ratio^(K - k).
Source: Burns et al., Weak-to-Strong Generalization, 2023, section 4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range

MOST = 1e6  # l2 of the first student, at most: more holds it back no further


@dataclass
class Chain(Method):
    """students: K, with the last; ratio: of a student's l2 to that of the next, at least 1."""

    students: int = MISSING
    ratio: float = MISSING
    summary: ClassVar[str] = (
        "Chain of students: each labels for the next one, which is regularised less"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Burns et al., Weak-to-Strong Generalization, 2023, section 4.3.1",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "finetune": "holds earlier students back by l2, which reaches only the head",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher",)
    paper_tunes: ClassVar[str] = "no rule is given: the sizes of the models on the way"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "students", 1, 100)
        check_range(self, "ratio", 1.0, 1e6)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows, labeller = draws.unlabelled, solved["teacher"]
        for left in range(self.students - 1, -1, -1):
            l2 = min(self.l2 * self.ratio**left, max(MOST, self.l2))
            problem = Problem(self.side, rows, labeller.proba(rows), CrossEntropy(), l2)
            if left:
                (labeller,) = yield [problem]
        return problem
