"""What the numbers of a grid measure: accuracies of classes, or risks of a numeric target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from w2s_groups.results import columns
from w2s_groups.results.stats import Floats, Interval, accuracy_interval, mean_interval

_PLAIN = (0.05, 50.0)  # typical risks that three decimals show well as they are


@dataclass(frozen=True)
class Measure:
    """A metric of the long table, and the scores that a grid holds of it.

    Of scores the larger is the better: accuracies as they are, risks with a minus. So the lowest
    score is that of the worst group, and a difference of two methods is a gain, whatever is
    measured. Tables show levels: accuracies, or risks with no minus.

    metric: in the column of that name, and in sentences. unit: levels are in units of it.
    """

    metric: str
    unit: float = 1.0

    @property
    def is_share(self) -> bool:
        """Whether levels are shares of test rows, in [0, 1]; else they are 0 or more."""
        return self.metric == columns.ACCURACY

    @property
    def sign(self) -> int:
        """1 where a larger level is better, else -1."""
        return 1 if self.is_share else -1

    @property
    def best(self) -> str:
        """How the best level of several is called."""
        return "highest" if self.is_share else "lowest"

    @property
    def worst(self) -> str:
        """How the worst level of several is called."""
        return "lowest" if self.is_share else "highest"

    @property
    def label(self) -> str:
        """The metric with its unit, where that is not 1."""
        return self.metric if self.unit == 1 else f"{self.metric} in units of {self.unit:g}"

    def scores(self, values: ArrayLike) -> Floats:
        """Scores of values of the long table."""
        return np.asarray(np.asarray(values, np.float64) * self.sign / self.unit, np.float64)

    def interval(self, scores: ArrayLike, step: float = 0.0) -> Interval:
        """Mean level over the seed axis (..., S) of scores, and its Student t interval.

        Cut to what a level can be, [0, 1] or 0 and more. step: as in stats.accuracy_interval; risks
        have no grain.
        """
        if self.is_share:
            return accuracy_interval(scores, step)
        return self.levels(mean_interval(scores))

    def levels(self, scores: Interval) -> Interval:
        """Levels of an interval of scores, cut to what they can be."""
        mean, low, high, n = scores
        if self.is_share:
            return Interval(mean, np.maximum(low, 0.0), np.minimum(high, 1.0), n)
        return Interval(-mean, np.maximum(-high, 0.0), -low, n)


ACCURACY = Measure(columns.ACCURACY)


def risks(values: ArrayLike) -> Measure:
    """The measure of risks such as these: their power of ten is its unit where 1 shows too little.

    values: of a setup, in the target's unit squared; NaN is missing.
    """
    value = np.asarray(values, dtype=np.float64)
    there = value[np.isfinite(value) & (value > 0)]
    typical = float(np.median(there)) if there.size else 1.0
    if _PLAIN[0] <= typical < _PLAIN[1]:
        return Measure(columns.RISK)
    return Measure(columns.RISK, 10.0 ** math.floor(math.log10(typical)))
