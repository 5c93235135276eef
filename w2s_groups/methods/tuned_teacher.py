"""Teacher whose l2 is chosen by cross-validation on its labelled set: does W2S survive a good one?

Source: Stone (1974), Cross-validatory choice and assessment of statistical predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps, check_range


def stratified_folds(labels: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """(n,) fold of each row, 0..folds-1: every class is dealt out evenly, in row order."""
    fold = np.empty(len(labels), dtype=np.int64)
    dealt = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        fold[members] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold


@dataclass
class TunedTeacher(Method):
    """l2_path: candidates; folds: of the cross-validation, by log loss. `l2` is not used."""

    l2_path: Any = MISSING
    folds: int = MISSING
    summary: ClassVar[str] = (
        "Weak teacher whose l2 is chosen by cross-validation on its labelled set"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Stone, Cross-validatory choice and assessment of statistical predictions, 1974",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "is chosen by log loss, which needs class probabilities",
    }
    side: ClassVar[str] = "teacher"
    reference: ClassVar[bool] = True
    tunes: ClassVar[str] = "l2, by cross-validation on the labelled set"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "folds", 2, 1000)
        if not self.l2_path or not all(
            isinstance(l2, int | float) and 1e-12 <= l2 <= 1e6 for l2 in self.l2_path
        ):
            raise InputError(
                f"tuned_teacher.l2_path={self.l2_path} must list numbers in [1e-12, 1e6]; "
                "give at least one"
            )

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        rows, y = draws.labelled, draws.y_labelled
        labels = y.argmax(axis=1)
        fold = stratified_folds(labels, min(self.folds, len(rows)))
        parts = [(fold != k, fold == k) for k in range(fold.max() + 1)]
        fitted = yield [
            Problem(self.side, rows[inside], y[inside], CrossEntropy(), l2)
            for l2 in self.l2_path
            for inside, _ in parts
        ]
        heads = iter(fitted)
        losses = []
        for _ in self.l2_path:
            total = 0.0
            for _, outside in parts:
                p = next(heads).proba(rows[outside])[np.arange(outside.sum()), labels[outside]]
                total -= float(np.log(np.maximum(p, np.finfo(float).tiny)).sum())
            losses.append(total)
        return Problem(self.side, rows, y, CrossEntropy(), self.l2_path[int(np.argmin(losses))])
