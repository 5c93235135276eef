"""Reports without the folders of their networks' files, which differ between machines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results.scores.of_cells import Scores

SIDES = ("teacher", "student")
_FOLDERS = re.compile(r"(?<=[/@])/(?:[^/@]+/)*")  # of an absolute path within a name


def names(settings: Mapping[str, Any]) -> dict[str, str]:
    """Network -> its name in a report, of those named by an absolute path.

    module//home/me/net.py:f is module/net.py:f. Two that would have one name keep their paths.
    """
    every = {name for side in SIDES for name in _listed(settings.get(side))}
    short = {name: _FOLDERS.sub("", name) for name in sorted(every)}
    often = Counter(short.values())
    return {name: own for name, own in short.items() if own != name and often[own] == 1}


def of(value: Any, known: Mapping[str, str]) -> Any:
    """Settings, or a part of them, with each name as a report has it."""
    if isinstance(value, Mapping):
        return {known.get(key, key): of(entry, known) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [of(entry, known) for entry in value]
    return known.get(value, value) if isinstance(value, str) else value


def report(
    table: pd.DataFrame,
    settings: Mapping[str, Any],
    counts: pd.DataFrame | None,
    scores: Scores | None,
) -> tuple[pd.DataFrame, Mapping[str, Any], pd.DataFrame | None, Scores | None]:
    """All that a report is made of, with the names of `names`."""
    known = names(settings)
    if not known:
        return table, settings, counts, scores

    def shown(part: pd.DataFrame) -> pd.DataFrame:
        return part.assign(**{side: part[side].replace(known) for side in SIDES if side in part})

    return (
        shown(table),
        of(settings, known),
        None if counts is None else shown(counts),
        None if scores is None else Scores(*map(shown, scores)),
    )


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
