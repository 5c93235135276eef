"""Just train twice: pseudolabels that a crude first student gets wrong weigh more the second time.

The first student is held back by strong regularisation, where the paper stops its training early.
Source: Liu et al., Just Train Twice, ICML 2021, algorithm 1, on hard pseudolabels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem, choose
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range, hardened


@dataclass
class JTT(Method):
    """l2_first: of the first student; upweight: weight of its errors against 1 of the others."""

    l2_first: float = MISSING
    upweight: float = MISSING
    summary: ClassVar[str] = (
        "Just train twice: errors of a first, strongly regularised student weigh more"
    )
    sources: ClassVar[tuple[str, ...]] = ("Liu et al., Just Train Twice, ICML 2021, algorithm 1",)
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "reads decisions of a first fit by cross-entropy",
        "finetune": "holds the first student back by l2, which reaches only the head",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher",)
    upweights: ClassVar[bool] = True
    paper_tunes: ClassVar[str] = (
        "epochs of the first model, weight of its errors, learning rate and l2, by the worst "
        "group of a validation set with group labels"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "l2_first", 1e-12, 1e6)
        check_range(self, "upweight", 1.0, 1e6)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows = draws.unlabelled
        targets = hardened(solved["teacher"].proba(rows))
        (first,) = yield [Problem(self.side, rows, targets, CrossEntropy(), self.l2_first)]
        wrong = choose(first.proba(rows)) != targets.argmax(axis=1)
        weights = np.where(wrong, self.upweight, 1.0)
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2, weights)
