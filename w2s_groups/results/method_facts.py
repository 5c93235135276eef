"""Facts about methods that tables, figures and reports go by: the one place that knows them.

Tables may name methods that are not registered here; they are shown as they are called.
"""

from __future__ import annotations

from collections.abc import Iterable

from w2s_groups.methods import METHODS

REFERENCES = tuple(name for name, kind in METHODS.items() if kind.reference)

# The methods that small tables and figures show where there is no room for all of them.
MAIN = ("teacher", "w2s", "selective", "baseline", "ceiling")
DRAWN_FIRST = ("w2s", "w2s_tuned", "selective", "adaptive_confidence", "combined", "ceiling")

# Okabe and Ito's palette, whose colours differ under the common colour-vision deficiencies.
COLOURS = {name: kind.colour for name, kind in METHODS.items() if kind.colour}

_FIRST = ("teacher", "tuned_teacher", "w2s", "w2s_tuned", "selective")
_LAST = ("zero_shot", "baseline", "dfr", "group_dro", "ceiling")


def method_order(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct method names: the teacher, then students, then the references."""
    distinct = set(names)
    others = sorted(distinct - {*_FIRST, *_LAST})
    return tuple(name for name in (*_FIRST, *others, *_LAST) if name in distinct)


def group_labels(name: str) -> str | None:
    """Group labels that a method uses: "none", "val" or "train"; None if it is not registered."""
    return METHODS[name].needs_groups if name in METHODS else None


def method_label(name: str) -> str:
    """Name of a method in figures, tables and prose."""
    return "W2S" if name == "w2s" else name
