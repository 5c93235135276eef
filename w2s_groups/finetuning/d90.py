"""d90: the smallest random subspace whose training comes to 90 % of what full fine-tuning does.

At each d, the accuracy of every seed is compared with chance + share (full − chance) of the same
seed. A monotone fit over d of the mean of these differences is interpolated in log(1 + d); where it
reaches 0 is d90. The same of both ends of the differences' intervals gives its interval.
The number depends on how the head is trained (docs/finetuning.md), which `Subspace` names.
Source: Li et al., Measuring the Intrinsic Dimension of Objective Landscapes, ICLR 2018, section 2,
where share is 0.9 of the accuracy itself; Aghajanyan et al., ACL 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import optimize
from w2s_groups.results.stats import mean_interval

Floats = NDArray[np.float64]
ACCURACY, AGREEMENT = "accuracy", "agreement with full tuning"


@dataclass(frozen=True)
class Dimension:
    """d90 with its 95 % interval. tried: the smallest and the largest d.

    At the smallest d it may be smaller still; inf: no d that was tried reaches it. NaN: not
    defined, as full tuning is not above chance. by: ACCURACY or AGREEMENT.
    """

    value: float
    low: float
    high: float
    tried: tuple[float, float]
    by: str = ACCURACY

    @property
    def text(self) -> str:
        """Such as `350 [210, > 900]`, with what it is by where that is not accuracy."""
        if np.isnan(self.value):
            return "below chance"
        interval = "" if np.isnan(self.low) else f" [{self._of(self.low)}, {self._of(self.high)}]"
        tail = f" (below chance; {self.by})" if self.by != ACCURACY else ""
        return f"{self._of(self.value)}{interval}{tail}"

    def _of(self, d: float) -> str:
        least, most = self.tried
        return f"> {most:.0f}" if np.isinf(d) else f"{'≤ ' * (d <= least)}{d:.0f}"


def d90(
    d: ArrayLike,
    accuracy: ArrayLike,
    full: ArrayLike,
    chance: float,
    share: float = 0.9,
    by: str = ACCURACY,
) -> Dimension:
    """d: (k,) rising dimensions; accuracy: (k, S) of each over seeds; full: (S,) of full tuning.

    chance: accuracy of guessing. Undefined where the mean of full tuning is not above chance, or
    not significantly so. Raises InputError for shapes that do not fit.
    """
    tried, value, whole = (np.asarray(a, dtype=np.float64) for a in (d, accuracy, full))
    if tried.ndim != 1 or not len(tried) or np.any(np.diff(tried) <= 0) or tried[0] < 0:
        raise InputError(f"d={d!r} must be rising numbers of 0 or more; sort them, each once")
    if value.shape != (len(tried), *whole.shape) or whole.ndim != 1:
        raise InputError(
            f"accuracy has shape {value.shape}: {len(tried)} dimensions and full tuning of shape "
            f"{whole.shape} need (dimensions, seeds); give every seed of each"
        )
    ends = float(tried[0]), float(tried[-1])
    over = mean_interval(whole - chance)
    if not (over.mean > 0 and not over.low <= 0):
        return Dimension(np.nan, np.nan, np.nan, ends, by)
    gap = mean_interval(value - (chance + share * (whole - chance)))
    # The upper end of the differences reaches 0 first.
    low, high = (_reached(tried, end) for end in (gap.high, gap.low))
    if np.isnan(gap.low).any():
        low = high = np.nan
    return Dimension(_reached(tried, gap.mean), low, high, ends, by)


def by_group(
    d: ArrayLike,
    accuracy: ArrayLike,
    full: ArrayLike,
    agreement: ArrayLike,
    chance: float,
    share: float = 0.9,
) -> list[Dimension]:
    """A dimension for each group: by accuracy, or by agreement where full tuning is below chance.

    accuracy, agreement: (k, S, G), the second with the decisions of full tuning of the same seed,
    which agrees with itself on all rows; full: (S, G). chance: 1 / number of classes.
    """
    of, whole, alike = (np.asarray(a, dtype=np.float64) for a in (accuracy, full, agreement))
    found = []
    for g in range(whole.shape[1]):
        one = d90(d, of[..., g], whole[:, g], chance, share)
        if np.isnan(one.value):
            ones = np.ones(len(whole))
            one = d90(d, alike[..., g], ones, chance, share, AGREEMENT)
        found.append(one)
    return found


def _reached(d: Floats, gap: Floats) -> float:
    """Where the monotone fit of gaps (k,) reaches 0; inf where it does not, NaN of missing ones."""
    if not np.isfinite(gap).all():
        return float("nan")
    fit = optimize.isotonic_regression(gap).x
    first = int(np.searchsorted(fit, 0.0))  # the first that is 0 or more
    if first == len(d):
        return float("inf")
    if first == 0 or fit[first] == 0:
        return float(d[first])
    place = np.interp(0.0, fit[first - 1 : first + 1], np.log1p(d[first - 1 : first + 1]))
    return float(np.expm1(place))
