"""Who and where samples show: the columns that say so, and splits that keep each on one side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import csgraph, sparse
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST, Dataset, Listed
from w2s_groups.data.files.table import Table, is_missing

Array = NDArray[np.float64]
_FIRST = 500  # clusters among which exchanges are looked for: of more, single ones fit
_LEAST = 1e-9  # by which a change has to lower the distance: rounding does not


@dataclass(frozen=True)
class Shown:
    """Columns that name who or what a sample shows or comes from, and where; None: not known."""

    identity: str | None = None
    place: str | None = None

    @property
    def by_field(self) -> dict[str, str]:
        """Field of a dataset, "identity" or "place" -> its column, where one is named."""
        named = {"identity": self.identity, "place": self.place}
        return {field: column for field, column in named.items() if column is not None}

    @property
    def columns(self) -> list[str]:
        """The columns that are named."""
        return list(self.by_field.values())

    def check(self) -> None:
        """InputError unless the two are different columns."""
        if len(set(self.columns)) < len(self.columns):
            raise InputError(
                f"data.identity_column and data.place_column are both {self.identity}; name "
                "another column, or set one of them to null"
            )

    def names(self, table: Table) -> dict[str, Any]:
        """Field of a dataset -> N names. InputError with the line of a name that is missing."""
        found = {}
        for field, column in self.by_field.items():
            texts = table.columns[column]
            missing = {text for text in set(texts) if is_missing(text)}
            rows = [row for row, text in enumerate(texts) if text in missing] if missing else []
            if rows:
                more = f" and {len(rows) - 1} more" if rows[1:] else ""
                raise InputError(
                    f"{table.where(rows[0])}{more}: {column}={texts[rows[0]]!r} reads as a missing "
                    f"{field}; fill it in, take the rows out, or set data.{field}_column=null"
                )
            found[field] = texts
        return found


def check_apart(dataset: Dataset, columns: Mapping[str, str]) -> None:
    """InputError where pool and test share an identity or a place.

    columns: field of the dataset -> the column that it was read from.
    """
    test = dataset.split == TEST
    for field, column in columns.items():
        names = np.array(getattr(dataset, field))
        shared = np.intersect1d(names[test], names[~test])
        if len(shared):
            raise InputError(
                f"data.{field}_column={column}: {len(shared)} of {len(np.unique(names[test]))} "
                f"names of the test are in the pool too, such as {str(shared[0])!r}; set "
                "data.pool=all, or data.pool=unsplit with splits=crossed or splits=random, to keep "
                "each on one side, or name another column"
            )


def kept_together(dataset: Dataset) -> NDArray[np.int64] | None:
    """(N,) cluster of each sample, 0..K-1; None where neither identities nor places are known.

    Samples of one identity are in one cluster, and samples of one place. The clusters are in the
    order of their first names, whatever the order of the samples.
    """
    known = [names for names in (dataset.identity, dataset.place) if names is not None]
    if not known:
        return None
    coded = [np.unique(np.array(names), return_inverse=True)[1] for names in known]
    if len(coded) == 1:
        return coded[0].astype(np.int64)
    identity, place = coded
    n = int(identity.max()) + 1
    edges = sparse.coo_array(
        (np.ones(len(identity)), (identity, n + place)), shape=(n + len(place),) * 2
    )
    _, labels = csgraph.connected_components(edges, directed=False)
    _, first = np.unique(labels[:n], return_index=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[labels[np.sort(first)]] = np.arange(len(first))
    return rank[labels[identity]]


def rows_of_test(
    dataset: Listed, cluster: NDArray[np.int64], wanted: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """(N,) whether a sample is of the test: whole clusters, as near as they come to what is wanted.

    cluster: (N,) as `kept_together` numbers them. wanted: (n_groups,) samples. Clusters are taken
    in a random order wherever one lowers Σ_g ((test_g - wanted_g) / wanted_g)²; then one changes
    sides, or two are exchanged, as long as that lowers it. InputError where all samples are in one
    cluster.
    """
    n_clusters, n_groups = int(cluster.max()) + 1, dataset.groups.n_groups
    if n_clusters == 1:
        raise InputError(
            f"data.pool=all: the identities and places of all {dataset.NOUN}s are linked, so that "
            "no split of all keeps each on one side; set data.pool=unsplit with splits=crossed or "
            f"splits=random, which leave out the {dataset.NOUN}s that link them, set "
            "data.place_column=null or data.identity_column=null, or name another column"
        )
    counts = np.bincount(
        cluster * n_groups + dataset.codes, minlength=n_clusters * n_groups
    ).reshape(n_clusters, n_groups)
    order = stream(seed, "pool/identities").permutation(n_clusters)
    chosen = np.empty(n_clusters, dtype=bool)
    chosen[order] = _nearest(counts[order], wanted)
    if chosen.all() or not chosen.any():
        chosen[order[0]] = not chosen[order[0]]
    return chosen[cluster]


def _nearest(counts: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(K,) clusters whose (K, n_groups) counts come near to the wanted sums; see `rows_of_test`."""
    share = counts / np.maximum(wanted, 1)
    left = wanted / np.maximum(wanted, 1)
    chosen = np.zeros(len(counts), dtype=bool)
    for k, own in enumerate(share):
        if own @ (own - 2 * left) < 0:
            chosen[k] = True
            left = left - own
    while (moved := _single(share, left, chosen)) or (moved := _exchange(share, left, chosen)):
        for k in moved:
            left = left + share[k] if chosen[k] else left - share[k]
            chosen[k] = not chosen[k]
    return chosen


def _single(share: Array, left: Array, chosen: NDArray[np.bool_]) -> list[int]:
    """The cluster whose change of side lowers |left|² most; none where no change does."""
    change = (share**2).sum(1) + np.where(chosen, 2, -2) * (share @ left)
    best = int(np.argmin(change))
    return [best] if change[best] < -_LEAST else []


def _exchange(share: Array, left: Array, chosen: NDArray[np.bool_]) -> list[int]:
    """Of the first clusters one that leaves and one that enters, if that lowers |left|²."""
    inside, outside = (np.flatnonzero(mask) for mask in (chosen[:_FIRST], ~chosen[:_FIRST]))
    if not (len(inside) and len(outside)):
        return []
    after = left + share[inside]
    change = (after**2).sum(1)[:, None] + (share[outside] ** 2).sum(1)
    change -= 2 * after @ share[outside].T + left @ left
    leaves, enters = np.unravel_index(int(np.argmin(change)), change.shape)
    return [int(inside[leaves]), int(outside[enters])] if change[leaves, enters] < -_LEAST else []
