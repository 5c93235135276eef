"""Group DRO on the head: the least worst-group loss that true labels and groups allow.

Minimises max_g mean loss of group g + l2/2 |w|^2. Its dual, over group weights q that sum to 1, is
concave: each round fits the head under q, reads the groups' losses and climbs. The last round's
head is within `gap` of the optimum, or `rounds` is reached, of which a warning tells.
Source: Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020, eq. 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.heads.problem import CrossEntropy, Head, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range


@dataclass
class GroupDRO(Method):
    """gap: duality gap at which it stops, in loss; rounds: at most so many fits."""

    gap: float = MISSING
    rounds: int = MISSING
    summary: ClassVar[str] = (
        "Group DRO: the least worst-group loss, from true labels and groups; an upper reference"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Sagawa et al., Distributionally Robust Neural Networks, ICLR 2020, eq. 4",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "is defined for cross-entropy",
        "mlp": "stops by the duality gap of a convex problem",
        "finetune": "stops by the duality gap of a convex problem",
    }
    needs_groups: ClassVar[Literal["none", "val", "train"]] = "train"
    reference: ClassVar[bool] = True
    needs_truth: ClassVar[bool] = True
    paper_tunes: ClassVar[str] = (
        "l2, learning rate and the group adjustment, by the worst group of a validation set "
        "with group labels"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "gap", 1e-8, 1.0)
        check_range(self, "rounds", 1, 10_000)

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows, y, codes = draws.unlabelled, draws.y_unlabelled, draws.codes_unlabelled
        assert y is not None
        assert codes is not None
        groups, code, size = np.unique(codes, return_inverse=True, return_counts=True)

        def weighted(q: NDArray[np.float64], start: Fitted | None) -> Problem:
            init = None if start is None else start.head
            return Problem(self.side, rows, y, CrossEntropy(), self.l2, (q / size)[code], init)

        q = np.full(len(groups), 1 / len(groups))
        climb, best = 1.0, -np.inf
        step_from, losses, found = q, np.zeros(len(groups)), None
        problem = weighted(q, None)
        for _ in range(self.rounds):
            (fitted,) = yield [problem]
            p = (fitted.proba(rows) * y).sum(axis=1)
            loss = np.bincount(code, -np.log(np.maximum(p, np.finfo(float).tiny))) / size
            # The penalty is in the primal and in the dual alike, so the gap is in the losses.
            assert isinstance(fitted.head, Head)
            penalty = self.l2 / 2 * float(np.square(fitted.head.coef).sum())
            value = float(q @ loss) + penalty
            if value >= best:
                best, step_from, losses, found = value, q, loss, problem
                if loss.max() - q @ loss <= self.gap:
                    break
                climb *= 2.0
            else:
                climb /= 8.0  # went too far: again from the best weights, with a shorter step
            rise = step_from * np.exp(climb * (losses - losses.max()))
            q = rise / rise.sum()
            problem = weighted(q, fitted)
        else:
            warnings.warn(
                f"group_dro stopped at rounds={self.rounds} with a duality gap above "
                f"gap={self.gap:g}; raise methods.group_dro.rounds",
                stacklevel=1,
            )
        assert found is not None
        return found
