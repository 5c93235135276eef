"""Numbers as the reports print them, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from w2s_groups.results.stats import Interval

BLANK = "–"
IMAGE = "image"  # name of a sample where settings["noun"] is not there


def fixed(value: float, digits: int = 3, sign: bool = False) -> str:
    """`value` with `digits` decimals; BLANK for NaN.

    Rounded to 12 decimals first: a mean of k/n often lies on a tie, and which side of it the last
    bit falls on differs between machines.
    """
    if math.isnan(value):
        return BLANK
    rounded = round(round(value, 12), digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{rounded:{'+' if sign else ''}.{digits}f}"


def plus_minus(interval: Interval) -> str:
    """`0.782 ± 0.012`; only the mean where there is no interval.

    `0.995 [0.981, 1.000]` where the interval is cut off at 0 or 1.
    """
    mean = float(interval.mean)
    below, above = mean - float(interval.low), float(interval.high) - mean
    if math.isnan(above):
        return fixed(mean)
    if abs(above - below) > 1e-9:
        return bracket(interval, sign=False)
    return f"{fixed(mean)} ± {fixed(above)}"


def bracket(interval: Interval, sign: bool = True) -> str:
    """`+0.052 [+0.040, +0.064]`; only the mean where there is no interval."""
    mean = fixed(float(interval.mean), sign=sign)
    if math.isnan(float(interval.low)):
        return mean
    return f"{mean} {bounds(interval, sign)}"


def bounds(interval: Interval, sign: bool = True) -> str:
    """`[+0.040, +0.064]`; a bound just below 0 is -0.000, so that a sign is never lost."""
    low, high = (
        "-0.000" if -0.0005 < round(float(bound), 12) < 0.0 else fixed(float(bound), sign=sign)
        for bound in (interval.low, interval.high)
    )
    return f"[{low}, {high}]"


def noun_of(settings: Mapping[str, Any], data: str | None = None) -> str:
    """Name of one sample of a report: image, text or sample.

    data: the dataset that is meant. Without it a report on several kinds of data has samples.
    """
    noun = settings.get("noun", IMAGE)
    if isinstance(noun, Mapping):
        return str(noun.get(data, IMAGE)) if data is not None else "sample"
    return str(noun)
