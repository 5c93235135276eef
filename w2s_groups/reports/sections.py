"""The content of a leaderboard, laid out once and rendered as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from w2s_groups.methods import METHODS
from w2s_groups.reports.format import BLANK, bracket, fixed, plus_minus
from w2s_groups.reports.section import Section as Section
from w2s_groups.reports.summary import (
    SHOWN,
    against,
    by_group,
    difference_names,
    differences,
    summary,
)
from w2s_groups.reports.verdict import sentences
from w2s_groups.results.coverage import MEASURED
from w2s_groups.results.schema import method_label, method_order
from w2s_groups.results.select import base_of
from w2s_groups.results.stats import mean_interval, paired_gain, pgr_interval
from w2s_groups.results.table import Grid


def setup_name(grid: Grid) -> str:
    """`teacher → student, n_ℓ = 300, n_u = 1000`."""
    return f"{grid.teacher} → {grid.student}, n_ℓ = {grid.n_l}, n_u = {grid.n_u}"


def sections(
    grids: Sequence[Grid], figures: Sequence[str], settings: Mapping[str, Any]
) -> list[Section]:
    """Everything the report says; figures: one file name per grid, "" for none."""
    found = []
    bars = "Difference to the teacher in the same cell; bars are 95 % intervals over seeds."
    for grid, figure in zip(grids, figures, strict=True):
        found += [
            Section(f"{grid.data}: {setup_name(grid)}", bullets=tuple(sentences(grid))),
            summary(grid),
            *against(grid),
            *([Section("Gain over the teacher", (bars,), figure=figure)] if figure else []),
            _leaderboard(grid),
            by_group(grid),
            *_kept(grid),
            *_kept_labels(grid),
            *_drawn(grid),
            _missing(grid, settings),
        ]
    return [
        *found,
        *_pair(settings.get("pair")),
        *_methods(settings),
        *_chosen(settings.get("chosen")),
        _reading(grids),
        _settings(settings),
    ]


def _leaderboard(grid: Grid) -> Section:
    values = {metric: grid.metric(metric) for metric in SHOWN}
    teacher, ceiling = grid.index("teacher"), grid.index("ceiling")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        for m, method in enumerate(grid.methods):
            cells = [plus_minus(mean_interval(values[metric][p, m])) for metric in SHOWN]
            cells.insert(2, str(smallest_n(grid, p, m)))
            for other, metric in differences(grid):
                value = values[metric][p]
                gain = paired_gain(value[m], value[grid.methods.index(other)])
                cells.append(BLANK if method == other else bracket(gain))
            average, pgr = values["average"][p], BLANK
            if teacher is not None and ceiling is not None and m not in (teacher, ceiling):
                pgr = bracket(pgr_interval(average[m], average[teacher], average[ceiling]), False)
            ran = int(np.isfinite(values["worst_group"][p, m]).sum())
            cells += [pgr, f"{ran} of {len(grid.seeds)}"]
            rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(method), *cells))
    average, worst, *others = SHOWN.values()
    means = (average, worst, "n", *others)
    return Section(
        "Leaderboard",
        ("Mean over seeds ± half the width of its 95 % interval; n is the smallest test group.",),
        header=("η_ℓ", "η_u", "method", *means, *difference_names(grid), "PGR, average", "seeds"),
        rows=tuple(rows),
        keys=2,
    )


def smallest_n(grid: Grid, p: int, m: int) -> int:
    """Images in the smallest test group of the runs of one point and method; 0: one is absent."""
    ran = ~np.isnan(grid.accuracy[p, m]).all(axis=-1)
    return int(grid.n[p, m][ran].min()) if ran.any() else 0


def _kept(grid: Grid) -> list[Section]:
    """Group mix of each kept set beside the mix it was chosen from."""
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        drawn = grid.drawn["unlabelled"][p]  # (S, G)
        share = drawn / drawn.sum(axis=-1, keepdims=True)
        for m, method in enumerate(grid.methods):
            kept = grid.kept_share[p, m]
            if np.isnan(kept).all():
                continue
            mix = [
                f"{fixed(float(mean_interval(kept[:, g]).mean))} "
                f"({fixed(float(mean_interval(share[:, g]).mean))})"
                for g in range(len(grid.groups))
            ]
            few = kept[:, grid.minority].sum(axis=-1) - share[:, grid.minority].sum(axis=-1)
            rows.append(
                (
                    f"{eta_l:g}",
                    f"{eta_u:g}",
                    method_label(method),
                    *mix,
                    bracket(mean_interval(few)),
                )
            )
    if not rows:
        return []
    text = "Share of each group in the kept set, and in the unlabelled set it was kept from."
    header = ("η_ℓ", "η_u", "method", *grid.groups, "minority share, kept − drawn")
    return [Section("What selection keeps", (text,), header=header, rows=tuple(rows), keys=2)]


def _kept_labels(grid: Grid) -> list[Section]:
    """How right the labels of each kept set are, beside all of the teacher's."""
    teacher = grid.index("teacher")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        for m, method in enumerate(grid.methods):
            kept = grid.pseudo["kept"][p, m]
            if np.isnan(kept).all() or teacher is None:
                continue
            every, n = grid.pseudo["unlabelled"][p, teacher], grid.kept_n[p, m]
            cells = []
            for g in range(len(grid.groups)):
                # Over images, not over seeds: a seed may have kept none or one of a group.
                total = int(n[:, g].sum())
                pooled = np.nansum(kept[:, g] * n[:, g]) / total if total else np.nan
                whole = float(mean_interval(every[:, g]).mean)
                cells.append(f"{fixed(float(pooled))} of {total} ({fixed(whole)})")
            rows.append((f"{eta_l:g}", f"{eta_u:g}", method_label(method), *cells))
    if not rows:
        return []
    text = (
        "Accuracy of the labels of all images that any seed kept, and their number; in brackets "
        "the teacher's accuracy on the whole unlabelled set."
    )
    header = ("η_ℓ", "η_u", "method", *grid.groups)
    return [Section("How right the kept labels are", (text,), (), "", header, tuple(rows), 2)]


def _pair(pairs: Sequence[Mapping[str, Any]] | None) -> list[Section]:
    """Dimensions of the two networks of each pair, as reports/pair.py lists them."""
    found = []
    for pair in pairs or ():
        rows = []
        for entry in pair["numbers"]:
            value, error = (
                np.nan if entry[k] is None else float(entry[k]) for k in ("value", "error")
            )
            shown = BLANK if np.isnan(value) else f"{value:.4g}"
            if np.isfinite(error) and shown != BLANK:
                shown += f" ± {error:.2g}"
            row = (str(entry["name"]), str(entry["symbol"]), shown, str(entry["definition"]))
            rows.append(row)
        text = (
            f"{pair['teacher']} → {pair['student']}, measured on the pool. d_w, d_s, d_sw are "
            "DLLL25's intrinsic and correlation dimensions; p_w, p_s, p_sw are what LDL25's model "
            "would call the group features, estimated here under its assumptions: compare them "
            "with each other, not with a model's numbers."
        )
        title = "The two networks"
        if len(pairs or ()) > 1:
            title += f": {pair['teacher']} → {pair['student']}"
        header = ("quantity", "symbol", "value ± standard error", "definition")
        found.append(Section(title, (text,), header=header, rows=tuple(rows)))
    return found


def _drawn(grid: Grid) -> list[Section]:
    """Realised counts, and how right the teacher's labels are in each group."""
    teacher = grid.index("teacher")
    rows = []
    for p, (eta_l, eta_u) in enumerate(grid.points):
        cells = []
        for g in range(len(grid.groups)):
            labelled, unlabelled = (_whole(grid.drawn[split][p, :, g]) for split in grid.drawn)
            cells.append(f"{labelled} + {unlabelled}")
            if teacher is not None:
                right = mean_interval(grid.pseudo["unlabelled"][p, teacher, :, g])
                cells[-1] += f": {plus_minus(right)}"
        rows.append((f"{eta_l:g}", f"{eta_u:g}", *cells))
    if all(np.isnan(counts).all() for counts in grid.drawn.values()):
        return []
    text = "Labelled + unlabelled images drawn: accuracy of the teacher's labels on the unlabelled."
    return [Section("Draws", (text,), header=("η_ℓ", "η_u", *grid.groups), rows=tuple(rows))]


def _whole(counts: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    there = counts[~np.isnan(counts)]
    if not there.size:
        return BLANK
    low, high = int(there.min()), int(there.max())
    return str(low) if low == high else f"{low} to {high}"


def _missing(grid: Grid, settings: Mapping[str, Any]) -> Section:
    lines = _never_made(grid, settings)
    if not grid.missing and not lines:
        return Section("Missing runs", ("None: every method has a number in every cell.",))
    lines += [
        f"η_ℓ = {run.eta_l:g}, η_u = {run.eta_u:g}, {method_label(run.method)}, "
        f"seed{'s' if len(run.seeds) > 1 else ''} {', '.join(map(str, run.seeds))}: {run.reason}"
        for run in grid.missing
    ]
    return Section("Missing runs", ("No mean above contains these.",), tuple(lines))


def _never_made(grid: Grid, settings: Mapping[str, Any]) -> list[str]:
    """What the settings ask for and the table knows nothing of."""
    etas = [settings.get(name) for name in ("eta_l", "eta_u")]
    lists = [value for value in etas if isinstance(value, list | tuple)]
    points = product(*lists) if len(lists) == len(etas) else []
    methods = settings.get("methods") or {}
    seeds = settings.get("seeds")
    return [
        *(
            f"η_ℓ = {eta_l:g}, η_u = {eta_u:g}: no run of any method"
            for eta_l, eta_u in points
            if (eta_l, eta_u) not in grid.points
        ),
        *(f"{method_label(name)}: no run" for name in methods if name not in grid.methods),
        *(
            f"seed {seed}: no run"
            for seed in (seeds if isinstance(seeds, list | tuple) else [])
            if seed not in grid.seeds
        ),
    ]


def _methods(settings: Mapping[str, Any]) -> list[Section]:
    """What each method is, was told and had tuned; nothing of methods unknown here."""
    values: Mapping[str, Mapping[str, Any]] = settings.get("methods") or {}
    by_ridge = settings.get("head") == "ridge"
    path = settings.get("l2_path") if by_ridge else None
    rows, told = [], []
    for name in method_order(values):
        kind = METHODS.get(base_of(name))
        if kind is None:
            continue
        if kind.needs_truth:
            told.append(method_label(name))
        chosen = {"l2"} if path or kind.tuned.startswith("l2,") else set()
        fixed_values = {key: v for key, v in values[name].items() if key not in chosen}
        rows.append(
            (
                method_label(name),
                kind.about(),
                kind.needs_groups,
                "the unlabelled set's" if kind.needs_truth else "the labelled set's",
                str(len(fixed_values)),
                ", ".join(f"{key} = {value}" for key, value in fixed_values.items()) or "none",
                "l2, by leave-one-out on the rows it is fitted on"
                if path
                else kind.tuned or "nothing",
            )
        )
    if not rows:
        return []
    text = "No method was tuned on test images."
    if told:
        text += f" True labels of the unlabelled set are read by {', '.join(told)} alone."
    if by_ridge:
        text += " Every head is ridge regression on the labels or scores (head = ridge)."
    header = (
        "method",
        "what it fits",
        "group labels used",
        "true labels",
        "hyperparameters",
        "fixed beforehand",
        "tuned",
    )
    return [Section("Methods", (text,), header=header, rows=tuple(rows))]


_RULES = {
    "val_worst": "the best worst group of validation",
    "val_mean": "the best mean over the groups of validation",
    "no_groups": "the most validation images right, whatever their group",
}


def _chosen(chosen: Sequence[Mapping[str, Any]] | None) -> list[Section]:
    """How often a rule took each variant."""
    if not chosen:
        return []
    rule = str(chosen[0]["method"]).partition("[")[2].rstrip("]")
    text = (
        f"In each cell the variant with {_RULES.get(rule, rule)} (select = {rule}); test images "
        "play no part."
    )
    rows = tuple((str(row["method"]), str(row["variant"]), str(row["cells"])) for row in chosen)
    header = ("method", "variant", "cells in which it was chosen")
    return [Section("What the rule chose", (text,), header=header, rows=rows)]


def _reading(grids: Sequence[Grid]) -> Section:
    """What the numbers mean, and what their intervals do and do not cover."""
    lines = [
        "Average is the accuracy at a test mix of η_t = 1/2, minority at η_t = 1, majority at "
        "η_t = 0, each exact from the group accuracies. The worst group is the lowest of each run, "
        "then averaged over seeds: in small groups that is biased low, and the summary estimates "
        "by how much.",
        "Intervals are 95 % Student t intervals over seeds unless they are named otherwise. A seed "
        "redraws the labelled and the unlabelled set from one fixed pool; the test images stay. So "
        "they cover the draws under a fixed split of identities, not the choice of test "
        "identities. Intervals per point are not corrected for their number.",
        *_coverage(),
        "A gain is paired: method − teacher in the same cell, positive is better; over W2S is "
        "method − W2S. PGR is (method − teacher) / (ceiling − teacher) of the mean accuracies with "
        "Fieller's interval, blank where the interval of ceiling − teacher contains 0.",
    ]
    for grid in grids:
        if grid.smallest_n == 0:
            lines.append(f"{setup_name(grid)}: a group has no test image and takes no part.")
    return Section("How to read this", bullets=tuple(lines))


def _coverage() -> list[str]:
    """What 95 % intervals over few seeds hold, as measured."""
    usual = [of_kind for kind, of_kind in MEASURED.items() if kind != "skewed"]
    skewed = MEASURED["skewed"]
    seeds = list(skewed)

    def shares(kinds: Sequence[Mapping[int, Any]], k: int) -> str:
        each = [[100 * of_kind[n][k] for of_kind in kinds] for n in seeds]
        spans = [(round(min(values)), round(max(values))) for values in each]
        return ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in spans)

    return [
        f"Simulated tables like this one say what 95 % is worth at {', '.join(map(str, seeds))} "
        "seeds. For averages, lowest groups and paired differences Student t held the truth in "
        f"{shares(usual, 0)} % and BCa in {shares(usual, 1)} %; for values with a long lower tail "
        f"t in {shares([skewed], 0)} % and BCa in {shares([skewed], 1)} %. So at few seeds trust "
        "t, and take BCa for a sign of skewness.",
    ]


def _settings(settings: Mapping[str, Any]) -> Section:
    """What the sections above do not show."""
    shown = {key: value for key, value in settings.items() if key not in ("pair", "chosen")}
    if shown.get("methods"):
        shown["methods"] = {
            name: value for name, value in shown["methods"].items() if base_of(name) not in METHODS
        }
    rows = tuple((key, value) for key, value in _flat("", shown) if value)
    return Section("Settings", header=("setting", "value"), rows=rows)


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        items = [_flat(f"{prefix}.{key}" if prefix else str(key), value[key]) for key in value]
        return [pair for item in items for pair in item]
    if isinstance(value, list | tuple):
        return [(prefix, ", ".join(str(item) for item in value))]
    return [(prefix, "" if value is None else str(value))]
