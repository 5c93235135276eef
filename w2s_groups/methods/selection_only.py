"""Selection without GCE: the most confident samples, retrained by cross-entropy.

Source: LDL25, enhanced W2S, without its robust loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit, check_range, hardened
from w2s_groups.methods.selective import most_confident


@dataclass
class SelectionOnly(OneFit):
    """keep: fraction of the unlabelled set in (0, 1], by the W2S student's entropy."""

    keep: float = MISSING
    summary: ClassVar[str] = (
        "Selection without GCE: the most confident pseudolabels, retrained by cross-entropy"
    )
    sources: ClassVar[tuple[str, ...]] = ("LDL25, enhanced W2S, without its robust loss",)
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "selects by entropy, which needs class probabilities",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher", "w2s")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "keep", 1e-6, 1.0)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        kept = most_confident(solved["w2s"].proba(draws.unlabelled), self.keep, draws.shuffle)
        rows = draws.unlabelled[kept]
        targets = hardened(solved["teacher"].proba(rows))
        return Problem(self.side, rows, targets, CrossEntropy(), self.l2)
