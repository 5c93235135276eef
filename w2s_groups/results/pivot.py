"""The long table as arrays: one Grid per (data, teacher, student, n_l, n_u)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results import design
from w2s_groups.results.columns import POINT, RISK, RISK_ERROR, SETUP, canonical
from w2s_groups.results.grid import Floats, Grid, Ints, Missing
from w2s_groups.results.measure import ACCURACY, risks
from w2s_groups.results.method_facts import method_order

Positions = NDArray[np.intp]
_DRAWN = ("labelled", "unlabelled")
_PSEUDOLABELLED = ("unlabelled", "kept")


def grids(
    table: pd.DataFrame,
    class_prior: Sequence[float] | None = None,
    settings: Mapping[str, Any] | None = None,
    counts: pd.DataFrame | None = None,
) -> list[Grid]:
    """One Grid per setup, in order; class_prior as in risks.group_weights.

    settings: of the report, for the configuration of several splits; counts: their tested samples
    by identity and place, as results.tested has them.
    """
    prior = None if class_prior is None else np.asarray(class_prior, dtype=np.float64)
    every = []
    for setup, part in canonical(table).groupby(SETUP, sort=True):
        splits = design.splits_of(settings or {}, str(setup[0]))
        share = design.test_share(splits)
        grid = replace(_grid(part[part["audit"] == ""], prior), test_share=share)
        if splits is not None and counts is not None:
            own = counts[(counts[SETUP] == list(setup)).all(axis=1)]
            crossed = design.crossed(grid, own, part[part["audit"] != ""], splits)
            grid = replace(grid, crossed=crossed)
        every.append(grid)
    return every


class _Axes(NamedTuple):
    """Labels of the axes of a grid's arrays."""

    points: tuple[tuple[float, float], ...]
    methods: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]
    groups: tuple[str, ...]

    def place(self, rows: pd.DataFrame, column: str, empty: float = np.nan) -> Floats:
        """(P, M, S, G) values of a column, `empty` where there is no row."""
        out = np.full(tuple(map(len, self)), empty, dtype=np.float64)
        rows = rows[rows["method"].isin(self.methods)]
        method, group = self.positions(rows, "method", "group")
        where = (rows["point"].to_numpy(), method, rows["run"].to_numpy(), group)
        out[where] = rows[column].to_numpy()
        return out

    def positions(self, rows: pd.DataFrame, *columns: str) -> list[Positions]:
        """Position of each row on the axes that the columns name."""
        axes = {"method": self.methods, "group": self.groups}
        return [_positions(axes[name], rows[name]) for name in columns]


def _positions(axis: Sequence[str], column: pd.Series) -> Positions:
    """Position of each entry of a categorical column on an axis, -1 where it is not there."""
    return np.asarray(pd.Index(axis).get_indexer(column.cat.categories))[column.cat.codes]


def run_positions(runs: Sequence[tuple[int, int]], rows: pd.DataFrame) -> Positions:
    """Position among `runs` of each row's (seed, fold)."""
    index = pd.MultiIndex.from_tuples(runs)
    return np.asarray(index.get_indexer(pd.MultiIndex.from_frame(rows[["seed", "fold"]])))


def _distinct(rows: pd.DataFrame, columns: list[str]) -> tuple[list[tuple[Any, ...]], Positions]:
    """The distinct rows of two columns in their order, and the position of each row's own."""
    (one, ones), (two, twos) = (pd.factorize(rows[name], sort=True) for name in columns)
    pairs, at = np.unique(one.astype(np.int64) * len(twos) + two, return_inverse=True)
    a, b = np.divmod(pairs, max(len(twos), 1))
    return list(zip(ones[a].tolist(), twos[b].tolist(), strict=True)), at.reshape(-1)


def _grid(part: pd.DataFrame, prior: Floats | None) -> Grid:
    """The grid of one setup. part: its rows of the canonical table."""
    points, point = _distinct(part, POINT)
    runs, run = _distinct(part, ["seed", "fold"])
    texts = ("method", "split", "metric", "group")
    part = part.assign(point=point, run=run, **{n: part[n].astype("category") for n in texts})

    def records(split: str, metric: str) -> pd.DataFrame:
        return part[(part["split"] == split) & (part["metric"] == metric)]

    of_risk = records("test", RISK)
    measure = risks(of_risk["value"]) if len(of_risk) else ACCURACY
    test, kept = records("test", measure.metric), records("kept", "fraction")
    coding = part[part["y"] >= 0].drop_duplicates("group").sort_values(["y", "a", "group"])
    axes = _Axes(
        tuple(points),
        method_order(test["method"].unique()),
        tuple(runs),
        tuple(coding["group"].astype(str)),
    )
    n = axes.place(test, "n", 0).astype(np.int64)
    accuracy, failed = _without_failed(measure.scores(axes.place(test, "value")), n)
    # Counts belong to the draw, which a cell's methods share: any method's row will do.
    counts = {split: axes.place(records(split, "count"), "value") for split in _DRAWN}
    labels = {
        split: measure.scores(axes.place(records(split, measure.metric), "value"))
        for split in _PSEUDOLABELLED
    }
    first = part.iloc[0]
    return Grid(
        data=str(first["data"]),
        teacher=str(first["teacher"]),
        student=str(first["student"]),
        n_l=int(first["n_l"]),
        n_u=int(first["n_u"]),
        points=axes.points,
        methods=axes.methods,
        seeds=tuple(int(seed) for seed, _ in axes.runs),
        folds=tuple(int(fold) for _, fold in axes.runs),
        groups=axes.groups,
        y=coding["y"].to_numpy(dtype=np.int64),
        a=coding["a"].to_numpy(dtype=np.int64),
        minority=coding["minority"].to_numpy(dtype=bool),
        class_prior=prior,
        accuracy=accuracy,
        n=n,
        drawn={split: _first_there(count) for split, count in counts.items()},
        kept_share=axes.place(kept, "value"),
        kept_n=axes.place(kept, "n", 0).astype(np.int64),
        pseudo=labels,
        upweighted=axes.place(records("upweighted", "count"), "value"),
        agreement=_agreement(records("agreement", "fraction"), axes),
        missing=_missing(axes, failed, stored=_stored(axes, test)),
        measure=measure,
        risk_error=axes.place(records("test", RISK_ERROR), "value") / measure.unit
        if len(of_risk)
        else None,
    )


def _without_failed(accuracy: Floats, n: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """The accuracies with failed runs NaN in every group, and which runs (P, M, S) failed."""
    nan = np.isnan(accuracy)
    failed = np.asarray((nan & (n > 0)).any(axis=-1) | nan.all(axis=-1))
    return np.where(failed[..., None], np.nan, accuracy), failed


def _stored(axes: _Axes, test: pd.DataFrame) -> NDArray[np.bool_]:
    """(P, M, S) whether the table has a row of the run."""
    return np.asarray((axes.place(test.assign(there=1.0), "there", 0.0) > 0).any(axis=-1))


def _agreement(rows: pd.DataFrame, axes: _Axes) -> Floats:
    """(P, M, M, S), NaN where not stored: the group column names the other method."""
    methods = axes.methods
    out = np.full((len(axes.points), len(methods), len(methods), len(axes.runs)), np.nan)
    rows = rows[rows["method"].isin(methods) & rows["group"].isin(methods)]
    p, seed, (one,) = rows["point"], rows["run"], axes.positions(rows, "method")
    two = _positions(methods, rows["group"])
    out[p, one, two, seed] = out[p, two, one, seed] = rows["value"].to_numpy()
    return out


def _first_there(values: Floats) -> Floats:
    """(P, M, S, G) -> (P, S, G): the first method's number that is not NaN."""
    out = np.full((values.shape[0], *values.shape[2:]), np.nan)
    for m in range(values.shape[1]):
        out = np.where(np.isnan(out), values[:, m], out)
    return out


def _missing(
    axes: _Axes, failed: NDArray[np.bool_], stored: NDArray[np.bool_]
) -> tuple[Missing, ...]:
    """Runs (P, M, S) without a number, those of one method, point and reason together."""
    missing = []
    for p, (eta_l, eta_u) in enumerate(axes.points):
        for m, method in enumerate(axes.methods):
            for reason, lost in (
                ("not in the table", ~stored[p, m]),
                ("no number", failed[p, m] & stored[p, m]),
            ):
                seeds = tuple(int(axes.runs[k][0]) for k in np.flatnonzero(lost))
                if seeds:
                    missing.append(Missing(eta_l, eta_u, method, seeds, reason))
    return tuple(missing)
