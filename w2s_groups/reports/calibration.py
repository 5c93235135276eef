"""Calibration and errors of each method, of a run that stored outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.figures import reliability
from w2s_groups.reports.comparisons import runs
from w2s_groups.reports.section import Section
from w2s_groups.reports.sections import setup_name
from w2s_groups.results.columns import POINT, SETUP
from w2s_groups.results.format import plus_minus
from w2s_groups.results.grid import Floats, Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.resampled import corrected_interval
from w2s_groups.results.scores.calibration import BINS
from w2s_groups.results.scores.log_loss import LEAST
from w2s_groups.results.scores.of_cells import Scores
from w2s_groups.results.stats import Interval, accuracy_interval, mean_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Measure -> name, least and largest value.
_ALL = {
    "auroc": ("AUROC", 0.0, 1.0),
    "calibration_error": ("calibration error", 0.0, 1.0),
    "log_loss": ("log loss", 0.0, np.inf),
    "brier": ("Brier score", 0.0, 2.0),
    "blind_spots": ("blind spots", 0.0, 1.0),
    "error_similarity": ("error similarity", -np.inf, 1.0),
    "bias": ("bias", -np.inf, np.inf),
    "error_correlation": ("error correlation", -1.0, 1.0),
}
_NOT_BETTER_LARGE = ("calibration error", "log loss", "Brier score", "blind spots")
_WORST = "worst group: "
_TEXT = {
    "auroc": "AUROC: of two classes the chance that one {noun} of the second class has a higher "
    "probability of it than one of the first, of more the mean over classes against the rest; it "
    "needs two classes, and a group has one.",
    "calibration_error": f"Calibration error: mean |accuracy − confidence| over {BINS} equal bins "
    "of confidence (Guo et al., ICML 2017), raised by chance where {noun}s are few.",
    "log_loss": f"Log loss in nats, probabilities raised to {LEAST:.1g} where they are lower, as "
    "float16 allows. Brier score: squared distance of the probabilities from the truth.",
    "blind_spots": "Blind spots: share of {noun}s where the method is wrong with a probability of "
    "at least (1 + 1/C)/2 for C classes and the teacher is less sure than that "
    "(arXiv:2604.25077; the thresholds are this suite's).",
    "error_similarity": "Error similarity to the teacher: CAPA κ_p (Goel et al., ICML 2025); 0 "
    "for errors as independent as the accuracies allow, 1 for the same decisions with certainty.",
    "bias": "Bias: mean of prediction − target, in standard deviations of the target. Error "
    "correlation: Pearson's, of these differences with the teacher's. Heads predict numbers, so "
    "that there is nothing to calibrate.",
}

_SCORES = (
    "Ridge heads give scores and no probabilities, so that there is nothing to calibrate; error "
    "similarity is that of their decisions."
)


def of_grid(grid: Grid, scores: Scores) -> list[Section]:
    """A row a point and method, with the worst group by accuracy; empty without outputs."""
    table = _own(grid, scores.table)
    measures = [name for name in _ALL if name in table and table[name].notna().any()]
    if not measures:
        return []
    mixed = {name: _values(grid, table[table["mix"] == "average"], name) for name in measures}
    worst = {
        name: _of_lowest(grid, table[table["mix"] == ""], name)
        for name in measures
        if name != "auroc"
    }
    rows = [
        (f"{eta_l:g}", f"{eta_u:g}", method_label(method),
         *(plus_minus(_interval(grid, values[p, m], name))
           for of in (mixed, worst) for name, values in of.items()))
        for p, (eta_l, eta_u) in enumerate(grid.points)
        for m, method in enumerate(grid.methods)
    ]  # fmt: skip
    names = [*(_ALL[name][0] for name in mixed), *(_WORST + _ALL[name][0] for name in worst)]
    header = ("η_ℓ", "η_u", "method", *names)
    rising = tuple(name for name in names if name.removeprefix(_WORST) in _NOT_BETTER_LARGE)
    notes = [_TEXT[name].format(noun=grid.noun) for name in measures if name in _TEXT]
    if not {"log_loss", "bias"} & set(measures):
        notes.append(_SCORES)
    text = (_about(grid, table), *notes)
    title = "Calibration and errors of each method"
    return [Section(title, text, (), "", header, tuple(rows), 2, rising=rising)]


def diagrams(
    grids: Mapping[str, Grid], scores: Scores, figures: dict[str, Figure]
) -> list[Section]:
    """A reliability diagram for each setup that has probabilities; adds its figure by stem.

    grids: stem of the figure -> setup.
    """
    sections = []
    for stem, grid in grids.items():
        bins = _own(grid, scores.bins)
        if bins.empty:
            continue
        figures[stem] = reliability.draw(bins, grid.groups, grid.minority, grid.noun)
        of = "" if len(grids) == 1 else f": {grid.data}, {setup_name(grid)}"
        text = (
            f"Accuracy of the test {grid.noun}s in each of {BINS} bins of confidence, by group, "
            f"over all points and {runs(grid)}. On the line, confidence is accuracy; below it, a "
            "method is too confident. The area of a marker is the bin's share of the group; bins "
            f"with less than {reliability.FEWEST:.1%} of it are left out."
        )
        sections.append(Section(f"Reliability diagram{of}", (text,), (), f"{stem}.png"))
    return sections


def _own(grid: Grid, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the setup."""
    setup = (grid.data, grid.teacher, grid.student, grid.n_l, grid.n_u)
    mask = np.ones(len(table), dtype=bool)
    for name, value in zip(SETUP, setup, strict=True):
        mask &= (table[name] == value).to_numpy()
    return table[mask]


def _values(grid: Grid, rows: pd.DataFrame, measure: str) -> Floats:
    """(P, M, S) of each run, NaN where there is none. rows: one a run."""
    index = pd.MultiIndex.from_tuples(
        [(*point, method, *run) for point in grid.points for method in grid.methods
         for run in grid.runs]
    )  # fmt: skip
    there = rows.set_index([*POINT, "method", "seed", "fold"])[measure]
    shape = len(grid.points), len(grid.methods), len(grid.runs)
    return there.reindex(index).to_numpy(dtype=np.float64).reshape(shape)


def _of_lowest(grid: Grid, rows: pd.DataFrame, measure: str) -> Floats:
    """(P, M, S) in the group whose mean accuracy over runs is the lowest."""
    by_group = [_values(grid, rows[rows["group"] == name], measure) for name in grid.groups]
    return np.take_along_axis(np.stack(by_group, axis=-1), grid.lowest[..., None, None], -1)[..., 0]


def _interval(grid: Grid, values: Floats, measure: str) -> Interval:
    """Mean over runs with its interval, cut to what the measure can be."""
    share = grid.test_share
    if measure == "blind_spots" and share is None:
        return accuracy_interval(values, grid.step())  # a share of rows, as accuracies are
    whole = mean_interval(values) if share is None else corrected_interval(values, share)
    _, least, most = _ALL[measure]
    low, high = np.maximum(whole.low, least), np.minimum(whole.high, most)
    return Interval(whole.mean, low, high, whole.n)


def _about(grid: Grid, table: pd.DataFrame) -> str:
    """What the numbers are means over, and how many runs have outputs."""
    law = "Student t over seeds"
    if grid.test_share is not None:
        law = "corrected resampled t over splits, also of crossed ones"
    n = len(table.drop_duplicates([*POINT, "seed", "fold"]))
    total = len(grid.points) * len(grid.runs)
    of = "all runs" if n == total else f"{n} of {total} runs, those with outputs"
    return (
        f"From the stored outputs of {of}: at η_t = 1/2, and in the group whose mean "
        f"{grid.measure.metric} is the {grid.measure.worst}. Mean over {runs(grid)} ± half the "
        f"width of its 95 % interval ({law})."
    )
