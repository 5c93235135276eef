"""GCE without selection: GCE on every pseudolabel.

Source: Zhang and Sabuncu, NeurIPS 2018, eq. 6, on LDL25's hard pseudolabels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.heads.problem import GCE, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit, check_range, hardened


@dataclass
class GCEOnly(OneFit):
    """q: exponent of GCE in (0, 1]."""

    q: float = MISSING
    summary: ClassVar[str] = "GCE without selection: GCE on every pseudolabel"
    sources: ClassVar[tuple[str, ...]] = (
        "Zhang and Sabuncu, NeurIPS 2018, eq. 6",
        "LDL25, its hard pseudolabels",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "fits GCE, which needs class probabilities",
    }
    needs: ClassVar[tuple[str, ...]] = ("teacher",)
    paper_tunes: ClassVar[str] = "no rule is given: q = 0.7 throughout"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "q", 1e-6, 1.0)

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        targets = hardened(solved["teacher"].proba(draws.unlabelled))
        return Problem(self.side, draws.unlabelled, targets, GCE(self.q), self.l2)
