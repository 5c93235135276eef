"""Deep feature reweighting: true labels, every group of the same weight. An upper reference.

The paper averages heads over random subsets with as many of every group; here all rows are used and
each group's weights sum to the same.
Source: Kirichenko et al., Last Layer Re-Training is Sufficient for Robustness to Spurious
Correlations, ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class DFR(OneFit):
    """Student features, true labels and groups of the unlabelled set."""

    summary: ClassVar[str] = (
        "Deep feature reweighting: true labels, all groups of the same weight; an upper reference"
    )
    sources: ClassVar[tuple[str, ...]] = ("Kirichenko et al., Last Layer Re-Training, ICLR 2023",)
    unsupported: ClassVar[Mapping[str, str]] = {
        "mlp": "is about the last layer of a frozen network",
        "finetune": "is about the last layer of a frozen network",
    }
    needs_groups: ClassVar[Literal["none", "val", "train"]] = "train"
    reference: ClassVar[bool] = True
    needs_truth: ClassVar[bool] = True
    paper_tunes: ClassVar[str] = (
        "the l1 penalty, by the worst group of one half of a separate validation set with "
        "group labels, on which the head is fitted as well"
    )

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        assert draws.y_unlabelled is not None
        assert draws.codes_unlabelled is not None
        weights = 1 / np.bincount(draws.codes_unlabelled)[draws.codes_unlabelled]
        return Problem(
            self.side, draws.unlabelled, draws.y_unlabelled, CrossEntropy(), self.l2, weights
        )
