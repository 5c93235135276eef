"""Selective W2S with a learnt selector, P(IK): does the strong model know the answer to this image?

The selector is a logistic head on the student's features, fitted on the labelled images: was the
W2S student, to which they are new, right? Where it says so with probability `threshold` or more the
student's own decision is the label; elsewhere the weak label, smoothed over the graph as in
`graph_smoothed` (alpha = 0: as it is). True labels of the unlabelled set are not read.
In the paper the strong model is a language model that answers before it is trained on the task; a
head on frozen features cannot, so that the W2S student answers in its place.
Source: Lang et al., Selective Weak-to-Strong Generalization, AAAI 2026 (arXiv 2511.14166).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem, choose, one_hot
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range, hardened
from w2s_groups.methods.graph_smoothed import smoothed


@dataclass
class LearntSelector(Method):
    """threshold: of P(IK), in [0, 1]; l2_selector: of its head; k, alpha: of the graph."""

    threshold: float = MISSING
    l2_selector: float = MISSING
    k: int = MISSING
    alpha: float = MISSING
    summary: ClassVar[str] = (
        "Learnt selector: the student's label where it is predicted right, else a smoothed one"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Lang et al., Selective Weak-to-Strong Generalization, AAAI 2026",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "reads the class probabilities of a selector",
        "finetune": "joins neighbours among features that do not change",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher", "w2s")
    needs_neighbours: ClassVar[bool] = True
    tunes: ClassVar[str] = "which labels to trust, by a classifier fitted on the labelled set"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "threshold", 0.0, 1.0)
        check_range(self, "l2_selector", 1e-12, 1e6)
        check_range(self, "k", 1, 1000)
        check_range(self, "alpha", 0.0, 0.99)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows, student = draws.unlabelled, solved["w2s"]
        assert draws.neighbours is not None
        right = choose(student.proba(draws.labelled)) == draws.y_labelled.argmax(axis=1)
        of_right = one_hot(right.astype(np.int64), 2)
        (selector,) = yield [
            Problem(self.side, draws.labelled, of_right, CrossEntropy(), self.l2_selector)
        ]
        knows = selector.proba(rows)[:, 1] >= self.threshold
        weak = solved["teacher"].proba(rows)
        weak = smoothed(weak, draws.neighbours(self.k), self.alpha)
        targets = np.where(knows[:, None], hardened(student.proba(rows)), weak)
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2)
