"""Methods over a suite: means over data sets, each with one weight, and the ranks they leave open.

An interval of a suite speaks of its data sets, not of new ones. Data sets are independent, so their
own half widths add by squares; setups of one data set share its test samples and may move together,
so their half widths add as they are, which is never too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from w2s_groups.core.text import count
from w2s_groups.reports.comparisons import (
    RANKED,
    SUBMITTED,
    grain,
    group_labels_used,
    is_reference,
    over_grid,
    population,
    ranks,
)
from w2s_groups.reports.section import Section
from w2s_groups.results.format import BLANK, bracket, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import facts, method_label, method_order, with_plugins
from w2s_groups.results.ranks import holm
from w2s_groups.results.stats import FEWEST, LEVEL, Interval, mean_interval, t_quantile, t_tail

TITLE = "All methods over the suite"


@dataclass(frozen=True)
class Standing:
    """One method over a suite. mean, gain (over the teacher), rank: by metric of RANKED.

    rank is empty for references. labels: group labels used. tuned: trials a cell, or what else.
    card: of a method that was trained elsewhere, else empty.
    """

    method: str
    reference: bool
    mean: dict[str, Interval]
    gain: dict[str, Interval]
    rank: dict[str, str]
    labels: str
    tuned: str
    card: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Name in a table, which marks methods that were trained elsewhere."""
        return f"{method_label(self.method)}{SUBMITTED if self.card else ''}"


def over_suite(grids: Sequence[Grid], metric: str, method: str, other: str | None) -> Interval:
    """Mean over data sets of a metric, or of its difference to `other`, with its interval.

    NaN where a setup lacks a number. n: fewest seeds of a setup.
    """
    if any(name not in grid.methods for grid in grids for name in (method, other or method)):
        return mean_interval(np.full(1, np.nan))
    each = [over_grid(grid, metric, method, other) for grid in grids]
    if len(each) == 1:
        return each[0]
    data = np.array([grid.data for grid in grids])
    names = list(dict.fromkeys(data.tolist()))
    parts = np.array([[one.mean, one.mean - one.low, one.high - one.mean] for one in each])
    of_data = np.array([parts[data == name].mean(axis=0) for name in names])
    mean = of_data[:, 0].mean()
    below, above = np.sqrt((of_data[:, 1:] ** 2).sum(axis=0)) / len(names)
    n = np.asarray(min(int(one.n) for one in each))
    return Interval(np.asarray(mean), np.asarray(mean - below), np.asarray(mean + above), n)


def p_of(grids: Sequence[Grid], difference: Interval) -> float:
    """Two-sided p of no difference over a suite: it is 5 % where the interval just reaches 0.

    Student t with the degrees of freedom of the setup with the fewest seeds. The rounding of
    accuracies adds to the variance, as in stats.paired_p. 1 below FEWEST seeds.
    """
    n = int(difference.n)
    if n < FEWEST or not np.isfinite(difference.low):
        return 1.0
    t = float(t_quantile(0.5 + LEVEL / 2, n - 1))
    error = float(difference.high - difference.low) / 2 / t
    steps = np.array([grain(grid) for grid in grids])
    error = float(np.hypot(error, np.sqrt((steps**2).sum() / 6 / n) / len(grids)))
    mean = abs(round(float(difference.mean), 12))
    if error < 1e-12:
        return 1.0 if mean == 0.0 else 0.0
    return float(2 * t_tail(mean / error, n - 1))


def rank_ranges(grids: Sequence[Grid], metric: str, names: Sequence[str]) -> dict[str, str]:
    """Ranks that Holm's correction over all pairs of `names` leaves open to each: `1-3`."""
    if len(grids) == 1:
        return ranks(grids[0], metric, list(names))
    pairs = [(one, two) for k, one in enumerate(names) for two in names[k + 1 :]]
    between = [over_suite(grids, metric, *pair) for pair in pairs]
    p = holm([p_of(grids, one) for one in between])
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for (one, two), difference, value in zip(pairs, between, p, strict=True):
        if value <= 1.0 - LEVEL:
            first, last = (one, two) if difference.mean > 0 else (two, one)
            worse[first] += 1
            better[last] += 1
    ends = {name: (1 + better[name], len(names) - worse[name]) for name in names}
    return {name: str(a) if a == b else f"{a}-{b}" for name, (a, b) in ends.items()}


@with_plugins
def standings(grids: Sequence[Grid], settings: Mapping[str, Any]) -> list[Standing]:
    """Every method of a suite: students by worst group, the best first, then references."""
    names = method_order(name for grid in grids for name in grid.methods)
    rows = [_standing(grids, name, settings) for name in names]
    ranked = [
        row.method
        for row in rows
        if not row.reference and all(np.isfinite(row.mean[metric].mean) for metric in RANKED)
    ]
    for metric in RANKED:
        places = rank_ranges(grids, metric, ranked)
        for row in rows:
            row.rank[metric] = places.get(row.method, "")
    sign = grids[0].measure.sign
    return sorted(rows, key=lambda row: (row.reference, _best(row.mean["worst_group"], sign)))


def _best(interval: Interval, sign: int) -> float:
    """Sort key: the best mean first, those without one last; ties by the rounded number."""
    mean = float(interval.mean)
    return np.inf if np.isnan(mean) else -sign * round(mean, 9)


def _standing(grids: Sequence[Grid], name: str, settings: Mapping[str, Any]) -> Standing:
    having = next(grid for grid in grids if name in grid.methods)
    base = having.base_of(name)
    no_gain = mean_interval(np.full(1, np.nan))
    return Standing(
        name,
        is_reference(name, having),
        {metric: over_suite(grids, metric, name, None) for metric in RANKED},
        {
            metric: no_gain if name == "teacher" else over_suite(grids, metric, name, "teacher")
            for metric in RANKED
        },
        {},
        group_labels_used(name, having),
        _tuned(base, settings, having.card(name)),
        having.card(name),
    )


def _tuned(base: str, settings: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """`24 trials`, `itself`, or `fixed` for settings given beforehand."""
    if card:
        own = int(card["tuning"]["trials"])
        return count(own, "trial") if own else "fixed"
    trials = (settings.get("trials") or {}).get(base) or {}
    if trials and settings.get("select", "fixed") != "fixed":
        return count(int(np.prod([len(values) for values in trials.values()])), "trial")
    by_path = settings.get("head") == "ridge" and settings.get("l2_path")
    known = facts(base)
    return "itself" if by_path or (known is not None and known.tunes) else "fixed"


def data_names(grids: Sequence[Grid]) -> list[str]:
    """Data sets of a suite, each once."""
    return list(dict.fromkeys(grid.data for grid in grids))


def absent(grids: Sequence[Grid], settings: Mapping[str, Any]) -> list[str]:
    """Sentences on what was asked for and is not in a suite: data sets, jobs, methods' setups."""
    asked = settings.get("data")
    listed = asked if isinstance(asked, list | tuple) else [asked]
    names = [str(one.get("name", "")) if isinstance(one, Mapping) else one for one in listed]
    there = data_names(grids)
    gone = [name for name in names if isinstance(name, str) and name and name not in there]
    lines = []
    if gone and there and len(listed) > 1:
        lines.append(
            f"Not in this report: {', '.join(gone)}. Every mean is over the other "
            f"{count(len(there), 'data set')}."
        )
    if jobs := (settings.get("unfinished") or {}).get("jobs"):
        lines.append(f"This report is unfinished: it lacks {jobs} jobs of its sweep.")
    lost = [
        method_label(name)
        for name in method_order(name for grid in grids for name in grid.methods)
        if any(name not in grid.methods for grid in grids)
    ]
    if lost:
        lines.append(f"Not in every setup, so without a mean over them: {', '.join(lost)}.")
    return lines


def sentence(rows: Sequence[Standing], grids: Sequence[Grid]) -> str:
    """The result in one sentence: the student with the highest worst group, and W2S's gain."""
    ranked = [row for row in rows if not row.reference and np.isfinite(row.mean["average"].mean)]
    ranked = [row for row in ranked if np.isfinite(row.mean["worst_group"].mean)]
    if not ranked:
        return "No student has a number in every setup, so none is ranked."
    names = data_names(grids)
    over = names[0] if len(names) == 1 else f"{len(names)} data sets"
    top = ranked[0]
    best = grids[0].measure.best
    verb = "is the best" if top.rank["worst_group"] == "1" else f"has the {best} mean"
    text = f"{method_label(top.method)} {verb} of {count(len(ranked), 'student')} on the worst "
    text += f"group over {over}, {plus_minus(top.mean['worst_group'])}"
    if "-" in top.rank["worst_group"]:
        text += f" (ranks {top.rank['worst_group'].replace('-', ' to ')} remain open)"
    w2s = next((row for row in ranked if row.method == "w2s"), None)
    if w2s is not None and np.isfinite(w2s.gain["average"].mean):
        text += (
            f"; W2S gains {bracket(w2s.gain['average'])} over its teacher on average "
            f"{grids[0].measure.metric} and "
            f"{bracket(w2s.gain['worst_group'])} on the worst group"
        )
    return f"{text}."


def explanation(grids: Sequence[Grid]) -> str:
    """What the means and intervals of a suite are, and what they speak of."""
    names = data_names(grids)
    ranked = "Ranks: paired tests with Holm's correction over all pairs; references have none."
    if len(grids) == 1:
        return (
            f"Mean over the points (η_ℓ, η_u). Intervals of 95 % are {population(grids[0])} and "
            f"speak of this data set, not of new ones. {ranked}"
        )
    over, how = [], []
    if len(names) > 1:
        over.append(f"{len(names)} data sets, each with one weight")
        how.append("half widths of the data sets are added by squares")
    if len(grids) > len(names):
        over.append(f"{len(grids)} setups" if len(names) == 1 else f"their {len(grids)} setups")
        how.append("those of setups of one data set, which share test samples, as they are")
    which = "this data set" if len(names) == 1 else "these data sets"
    return (
        f"Mean over {', and '.join(over)}. Intervals of 95 % speak of {which}, not of new ones: "
        f"{', '.join(how)}. {_populations(grids)} {ranked}"
    )


def _populations(grids: Sequence[Grid]) -> str:
    """What the intervals of each data set hold for."""
    of_data = {grid.data: population(grid) for grid in grids}
    texts = list(dict.fromkeys(of_data.values()))
    if len(texts) == 1:
        return f"Within a data set they are {texts[0]}."
    each = (f"{text} ({', '.join(d for d, t in of_data.items() if t == text)})" for text in texts)
    return f"Within a data set they are {', or '.join(each)}."


def section(grids: Sequence[Grid], settings: Mapping[str, Any]) -> Section:
    """The ranked table as a section: a row a method."""
    rows = tuple(
        (
            row.label,
            "reference" if row.reference else row.rank["worst_group"] or BLANK,
            plus_minus(row.mean["worst_group"]),
            plus_minus(row.mean["average"]),
            bracket(row.gain["worst_group"]),
            bracket(row.gain["average"]),
            row.labels,
            row.tuned,
        )
        for row in standings(grids, settings)
    )
    header = (
        *("method", "rank", "worst group", "average"),
        *("gain, worst group", "gain, average", "group labels used", "tuned"),
    )
    text = (explanation(grids), *absent(grids, settings))
    return Section(TITLE, text, header=header, rows=rows)
