"""Selective retraining, LDL25's enhanced W2S: keep the confident part, retrain with GCE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.lazy import special
from w2s_groups.heads.problem import GCE, Problem, choose
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


class KeepBy(Enum):
    """What a fraction is kept of: all samples, or those of each class that the student decides."""

    overall = "overall"
    classes = "classes"


DIGITS = 2.0**26  # entropies that agree to so many parts tie: rounding must not choose


def most_confident(
    proba: NDArray[np.float64], keep: float, shuffle: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Positions of the round(keep n) rows (at least one) of lowest predictive entropy, ascending.

    proba: (n, C). Ties go to the lower rank in shuffle (n,): by place they would go to one group.
    Source: LDL25, enhanced W2S, selection step.
    """
    n_keep = max(1, int(np.floor(keep * len(proba) + 0.5)))
    mantissa, exponent = np.frexp(special.entr(proba).sum(axis=1))
    entropy = np.ldexp(np.round(mantissa * DIGITS), exponent)
    return np.sort(np.lexsort((shuffle, entropy))[:n_keep])


def kept(
    proba: NDArray[np.float64],
    keep: float,
    shuffle: NDArray[np.int64],
    keep_by: KeepBy = KeepBy.overall,
    threshold: float | None = None,
) -> NDArray[np.int64]:
    """Positions, ascending, that are kept of all rows or of the rows of each decided class.

    Of each: `most_confident`, or with a threshold the rows whose largest probability is at least
    that, and the most confident row if none is. proba: (n, C); shuffle: (n,).
    Sources: Zou et al., Class-Balanced Self-Training, ECCV 2018, for classes; Sohn et al.,
    FixMatch, NeurIPS 2020, for a threshold.
    """
    decided = choose(proba) if keep_by is KeepBy.classes else np.zeros(len(proba), dtype=np.int64)
    positions = []
    for label in np.unique(decided):
        part = np.flatnonzero(decided == label)
        above = part if threshold is None else part[proba[part].max(axis=1) >= threshold]
        if threshold is None or not len(above):
            share = keep if threshold is None else 0.0
            above = part[most_confident(proba[part], share, shuffle[part])]
        positions.append(above)
    return np.sort(np.concatenate(positions))


@dataclass
class Selective(OneFit):
    """keep: fraction of the unlabelled set in (0, 1]; q: exponent of GCE in (0, 1].

    threshold: of the student's confidence, in place of `keep`; None: `keep`.
    """

    keep: float = MISSING
    q: float = MISSING
    init: Init = MISSING
    labels: Labels = MISSING
    targets: Targets = MISSING
    # At these values, which older results lack, they are in no key and no report.
    keep_by: KeepBy = field(default=KeepBy.overall, metadata={"unused": KeepBy.overall})
    threshold: float | None = field(default=None, metadata={"unused": None})
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
        if self.threshold is not None:
            check_range(self, "threshold", 0.0, 1.0)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        student = solved["w2s"].proba(draws.unlabelled)
        own = kept(student, self.keep, draws.shuffle, self.keep_by, self.threshold)
        rows = draws.unlabelled[own]
        labels = solved["teacher"].proba(rows) if self.labels is Labels.teacher else student[own]
        if self.targets is Targets.hard:
            labels = hardened(labels)
        init = solved["w2s"].head if self.init is Init.w2s else None
        return Problem(self.side, rows, labels, GCE(self.q), self.l2, init=init)
