"""Selective retraining, LDL25's enhanced W2S: keep the confident part, retrain with GCE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING
from scipy.special import entr

from w2s_groups.heads.problem import GCE, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit, check_range, hardened


class Init(Enum):
    """Where a fit by steps starts (head=mlp, finetune). A linear head's answer does not depend on
    it: GCE starts at the cross-entropy solution of the kept rows."""

    zero = "zero"
    w2s = "w2s"


class Labels(Enum):
    """Whose labels are kept."""

    teacher = "teacher"
    student = "student"


class Targets(Enum):
    """Hard: the most probable class. Soft: the probabilities."""

    hard = "hard"
    soft = "soft"


DIGITS = 2.0**26  # entropies that agree to so many parts tie: rounding must not choose


def most_confident(
    proba: NDArray[np.float64], keep: float, shuffle: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Positions of the round(keep n) rows (at least one) of lowest predictive entropy, ascending.

    proba: (n, C). Ties go to the lower rank in shuffle (n,): by place they would go to one group.
    Source: LDL25, enhanced W2S, selection step.
    """
    n_keep = max(1, int(np.floor(keep * len(proba) + 0.5)))
    mantissa, exponent = np.frexp(entr(proba).sum(axis=1))
    entropy = np.ldexp(np.round(mantissa * DIGITS), exponent)
    return np.sort(np.lexsort((shuffle, entropy))[:n_keep])


@dataclass
class Selective(OneFit):
    """keep: fraction of the unlabelled set in (0, 1]; q: exponent of GCE in (0, 1]."""

    keep: float = MISSING
    q: float = MISSING
    init: Init = MISSING
    labels: Labels = MISSING
    targets: Targets = MISSING
    summary: ClassVar[str] = (
        "Selective retraining: the most confident pseudolabels, retrained with GCE"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "LDL25, enhanced W2S",
        "Zhang and Sabuncu, NeurIPS 2018, eq. 6",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "selects by entropy and fits GCE, which need class probabilities",
    }
    colour: ClassVar[str] = "#D55E00"
    needs: ClassVar[tuple[str, ...]] = ("teacher", "w2s")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "keep", 1e-6, 1.0)
        check_range(self, "q", 1e-6, 1.0)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        student = solved["w2s"].proba(draws.unlabelled)
        kept = most_confident(student, self.keep, draws.shuffle)
        rows = draws.unlabelled[kept]
        labels = solved["teacher"].proba(rows) if self.labels is Labels.teacher else student[kept]
        if self.targets is Targets.hard:
            labels = hardened(labels)
        init = solved["w2s"].head if self.init is Init.w2s else None
        return Problem(self.side, rows, labels, GCE(self.q), self.l2, init=init)
