"""Several splits as their intervals need them: shares of samples, counts by identity and place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.results.columns import POINT
from w2s_groups.results.crossed import Crossed
from w2s_groups.results.grid import Floats, Grid
from w2s_groups.results.tested import RIGHT, SHOWN, methods_of

AGAIN = "again"  # the audit that draws from the whole pool once more


def splits_of(settings: Mapping[str, Any], data: str) -> Mapping[str, Any] | None:
    """The configuration of the several splits of a dataset; None for one split.

    settings: of a report, which holds one for each dataset where it has several.
    """
    splits = settings.get("splits")
    if splits is None or isinstance(splits.get("name"), str):
        return splits
    of_data: Mapping[str, Any] | None = splits.get(data)
    return of_data


def test_share(splits: Mapping[str, Any] | None) -> float | None:
    """n_test / (n_test + n_pool) of each of several splits, for resampled; None for one."""
    if splits is None:
        return None
    if splits["name"] == "random":
        return float(splits["test_fraction"])
    # Of crossed blocks the share of the identities: simulated, it covers (docs/intervals.md), and
    # the smaller share of the samples does not.
    folds = int(splits["identity_folds"]), int(splits["place_folds"])
    return 1.0 / min(n for n in folds if n > 1)


def crossed(
    grid: Grid, counts: pd.DataFrame, audits: pd.DataFrame, splits: Mapping[str, Any]
) -> Crossed | None:
    """The counts of a setup under crossed folds; None for other splits.

    counts: its rows of results.tested's table; audits: the rows of the long table whose draws are
    from the whole pool again or from a half of it.
    """
    if splits["name"] != "crossed" or splits["place_folds"] < 2 or counts.empty:
        return None
    shown = counts[SHOWN].drop_duplicates().sort_values(SHOWN)
    pair = pd.MultiIndex.from_frame(shown).get_indexer(pd.MultiIndex.from_frame(counts[SHOWN]))
    point = pd.MultiIndex.from_tuples(grid.points).get_indexer(
        pd.MultiIndex.from_frame(counts[POINT])
    )
    identity, names = pd.factorize(shown["identity"], sort=True)
    place, places = pd.factorize(shown["place"], sort=True)
    group = pd.Index(grid.groups).get_indexer(pd.Index(shown["group"]))
    folds = np.zeros(len(shown), dtype=np.int64)
    folds[pair] = counts["fold"].to_numpy()
    n = np.zeros((len(grid.points), len(shown)), dtype=np.int64)
    np.add.at(n, (point, pair), counts["n"].to_numpy())
    right = np.full((len(grid.points), len(grid.methods), len(shown)), np.nan)
    for m in [k for k, name in enumerate(grid.methods) if name in methods_of(counts)]:
        own = np.zeros(n.shape)
        np.add.at(own, (point, pair), counts[RIGHT + grid.methods[m]].to_numpy(dtype=np.float64))
        right[:, m] = own
    return Crossed(
        right=np.where(n[:, None] > 0, right, np.nan),  # a pair without samples: its cell failed
        n=n,
        identity=identity,
        place=place,
        group=group,
        class_of=_of(identity, grid.y[group], len(names)),
        attribute_of=_of(place, grid.a[group], len(places)),
        identity_fold=_of(identity, folds // splits["place_folds"], len(names)),
        place_fold=_of(place, folds % splits["place_folds"], len(places)),
        n_groups=len(grid.groups),
        audits=_audits(grid, audits, splits),
    )


def _of(codes: NDArray[np.int64], values: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """(n,) the value of each code, where all of a code have the same."""
    out = np.zeros(n, dtype=np.int64)
    out[codes] = values
    return out


def _audits(grid: Grid, rows: pd.DataFrame, splits: Mapping[str, Any]) -> dict[str, Floats]:
    """Kind of half -> (M, I J, 4, G) accuracies of the heads of each fold, as Crossed has them."""
    rows = rows[(rows["split"] == "test") & (rows["metric"] == "accuracy")]
    n_folds = splits["identity_folds"] * splits["place_folds"]
    audits = {}
    for kind in splits["audit"]:
        halves = rows[rows["audit"] == f"{kind} 0"]
        if halves.empty:
            continue
        point = grid.points.index((halves["eta_l"].iloc[0], halves["eta_u"].iloc[0]))
        first = dict(zip(halves["fold"], halves["seed"], strict=True))
        out = np.full((len(grid.methods), n_folds, 4, len(grid.groups)), np.nan)
        for fold, seed in first.items():
            out[:, fold, 0] = grid.accuracy[point, :, grid.runs.index((seed, fold))]
        for k, audit in ((1, AGAIN), (2, f"{kind} 0"), (3, f"{kind} 1")):
            own = rows[(rows["audit"] == audit) & rows["method"].isin(grid.methods)]
            method = pd.Index(grid.methods).get_indexer(pd.Index(own["method"]))
            group = pd.Index(grid.groups).get_indexer(pd.Index(own["group"]))
            out[method, own["fold"].to_numpy(), k, group] = own["value"].to_numpy()
        audits[kind] = out
    return audits
