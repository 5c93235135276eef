"""Variants: a method under settings other than its own, as data. The one place that names them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2s_groups.methods import METHODS

# A setting `l2_per_feature = v` stands for l2 = v d, where d counts the features that vary.
PER_FEATURE = "_per_feature"
L2 = f"l2{PER_FEATURE}"
# The l2 per feature that nearness is measured from: l2 = d / 1000.
SCALE = 1e-3


@dataclass(frozen=True)
class Variant:
    """A method under other settings.

    settings: field -> value, in order; enums by their value. trial: one of the `trials` among which
    a rule chooses what stands in the method's place; otherwise one of `vary`, a method of its own.
    """

    base: str
    settings: Mapping[str, Any]
    trial: bool

    @property
    def name(self) -> str:
        """Such as `selective[keep=0.3,q=0.7]`."""
        shown = ",".join(f"{key}={_text(value)}" for key, value in self.settings.items())
        return f"{self.base}[{shown}]"

    def resolved(self, width: int) -> dict[str, Any]:
        """Field -> value, l2 as a number. width: features that vary, of the method's side."""
        return {
            key.removesuffix(PER_FEATURE): value * width if key.endswith(PER_FEATURE) else value
            for key, value in self.settings.items()
        }


def _text(value: Any) -> str:
    """A number in as few digits as tell it apart from all others."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def expand(asked: Mapping[str, Mapping[str, Sequence[Any]]], trial: bool) -> list[Variant]:
    """Every combination of the values of each method. asked: method -> field -> values."""
    return [
        Variant(base, dict(zip(varied, values, strict=True)), trial)
        for base, varied in asked.items()
        for values in itertools.product(*varied.values())
    ]


def of_settings(settings: Mapping[str, Any]) -> list[Variant]:
    """The variants of a report's settings."""
    return [
        *expand(settings.get("vary") or {}, trial=False),
        *expand(settings.get("trials") or {}, trial=True),
    ]


def by_name(settings: Mapping[str, Any]) -> dict[str, Variant]:
    """Name in the result table -> variant, of a report's settings: names are never parsed."""
    return {variant.name: variant for variant in of_settings(settings)}


def nearest_first(
    variants: Iterable[Variant], published: Mapping[str, Any], width: int | None
) -> list[Variant]:
    """Variants of one method, from the nearest to its published setting at l2 = d / 1000 on.

    A total order: distance of l2 from d / 1000 as |log ratio|; the larger l2; distance of each
    other field from the published value, field after field as the method lists them (|log ratio|
    of positive numbers, else 0 for the same and 1 for another value); the larger value; the order
    of the list. published: field -> value. width: as in Variant; None where it is not known, then
    an l2 that is given as a number is measured from the published one.
    """
    listed = list(enumerate(variants))
    others = [field for field in published if field != "l2"]

    def key(item: tuple[int, Variant]) -> tuple[Any, ...]:
        position, variant = item
        l2 = _per_feature(variant, published, width)
        values = variant.resolved(width or round(1 / SCALE))
        found = [values.get(field, published[field]) for field in others]
        distances = [_distance(v, published[f]) for v, f in zip(found, others, strict=True)]
        sizes = [-v if isinstance(v, int | float) else 0.0 for v in found]
        return (_distance(l2, SCALE), -l2, *distances, *sizes, position)

    return [variant for _, variant in sorted(listed, key=key)]


def at_scale(variant: Variant, published: Mapping[str, Any], width: int | None) -> bool:
    """Whether its l2 is d / 1000."""
    return _distance(_per_feature(variant, published, width), SCALE) == 0.0


def _per_feature(variant: Variant, published: Mapping[str, Any], width: int | None) -> float:
    """The variant's l2 per feature."""
    if L2 in variant.settings:
        return float(variant.settings[L2])
    own = float(published.get("l2", 1.0))
    value = float(variant.settings.get("l2", own))
    return value / width if width else SCALE * value / own


def _distance(value: Any, centre: Any) -> float:
    """Rounded, so that two values at the same ratio to the centre are equally near."""
    numbers = all(isinstance(v, int | float) and v > 0 for v in (value, centre))
    return round(abs(math.log(value / centre)), 9) if numbers else float(value != centre)


def width_of(settings: Mapping[str, Any], setup: Sequence[Any], base: str) -> int | None:
    """Features that vary, of the side that a method reads in a setup (data, teacher, student, ...).

    None for settings that do not hold it.
    """
    data, teacher, student = setup[:3]
    told = (settings.get("plugins") or {}).get(base)
    own = METHODS.built_in.get(base)
    side = own.side if own is not None else (told or {}).get("side", "student")
    for pair in settings.get("pair") or ():
        same = (pair["teacher"], pair["student"]) == (teacher, student)
        if same and pair.get("data", data) == data and "width" in pair:
            return int(pair["width"][side])
    return None
