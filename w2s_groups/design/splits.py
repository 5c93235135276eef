"""Splits into pool and test that are drawn several times: no identity and no place is in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream

Mask = NDArray[np.bool_]
HALVES = ("identities", "places")


class Fold(NamedTuple):
    """One split: (N,) masks of the rows that are drawn from and of those that are tested.

    Rows of neither show an identity of one side in a place of the other.
    """

    pool: Mask
    test: Mask


class Origin(NamedTuple):
    """What N samples show: (N,) codes of their identity and place, and the names of the codes.

    stratum: name of a side -> (number of codes,) class of each identity, attribute value of each
    place: the most frequent one of its samples, over which folds spread them evenly.
    """

    identity: NDArray[np.int64]
    place: NDArray[np.int64]
    identities: tuple[str, ...]
    places: tuple[str, ...]
    stratum: Mapping[str, NDArray[np.int64]]

    def at(self, rows: NDArray[Any]) -> Origin:
        """The same for some of the samples, with all names."""
        return self._replace(identity=self.identity[rows], place=self.place[rows])

    def side(self, which: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Codes and names of the "identities" or the "places"."""
        of_identities = (self.identity, self.identities)
        return of_identities if which == HALVES[0] else (self.place, self.places)


def origin(
    identity: Sequence[str],
    place: Sequence[str] | None,
    y: NDArray[np.int64],
    a: NDArray[np.int64],
) -> Origin:
    """Codes of N names of identities and places, in the order of the names.

    place: None where places are not known, which is one place for all. y, a: (N,) labels and
    attributes.
    """
    names, codes = np.unique(np.asarray(identity, dtype=object).astype(str), return_inverse=True)
    where = ("",) * len(codes) if place is None else place
    places, at = np.unique(np.asarray(where, dtype=object).astype(str), return_inverse=True)
    return Origin(
        codes.astype(np.int64),
        at.astype(np.int64),
        tuple(names.tolist()),
        tuple(places.tolist()),
        {HALVES[0]: _most_frequent(codes, y), HALVES[1]: _most_frequent(at, a)},
    )


def crossed(of: Origin, n_identity: int, n_place: int, seed: int) -> list[Fold]:
    """n_identity x n_place folds; fold i * n_place + j tests identity fold i in place fold j.

    Its pool holds the rows whose identity and place are both in other folds, so that every pair of
    an identity and a place is tested exactly once.
    """
    identity = dealt(of, "identities", n_identity, seed)[of.identity]
    place = dealt(of, "places", n_place, seed)[of.place]
    folds = []
    for i in range(n_identity):
        for j in range(n_place):
            elsewhere = (place != j) if n_place > 1 else np.ones(len(place), dtype=bool)
            folds.append(Fold((identity != i) & elsewhere, (identity == i) & (place == j)))
    return folds


def random(of: Origin, n: int, test_fraction: float, seed: int) -> list[Fold]:
    """n independent splits, which test this fraction of the identities and of the places.

    With one place for all, it is on both sides.
    """
    folds = []
    for k in range(n):
        tested = _share(of, "identities", test_fraction, seed, k)[of.identity]
        pool = ~tested
        if len(of.places) > 1:
            there = _share(of, "places", test_fraction, seed, k)[of.place]
            tested, pool = tested & there, pool & ~there
        folds.append(Fold(pool, tested))
    return folds


def dealt(of: Origin, which: str, n: int, seed: int) -> NDArray[np.int64]:
    """(number of codes,) fold of each identity or place: each class is dealt out in turn."""
    stratum, fold = of.stratum[which], np.zeros(len(of.side(which)[1]), dtype=np.int64)
    for value in np.unique(stratum):
        rng = stream(seed, f"splits/{which}/{value}")
        members = rng.permutation(np.flatnonzero(stratum == value))
        # Each class begins at the next fold, so that sizes differ by one over all classes, too.
        fold[members] = (np.arange(len(members)) + value) % n
    return fold


def halves(of: Origin, which: str, rows: Mask, seed: int, fold: int) -> tuple[Mask, Mask]:
    """The rows (N,) of each of two halves of the identities, or of the places, among `rows`."""
    codes, names = of.side(which)
    half = np.full(len(names), -1)
    there = np.zeros(len(names), dtype=bool)
    there[codes[rows]] = True
    for value in np.unique(of.stratum[which][there]):
        members = np.flatnonzero(there & (of.stratum[which] == value))
        order = stream(seed, f"splits/half/{which}/{fold}/{value}").permutation(members)
        half[order] = (np.arange(len(order)) + value) % 2
    return rows & (half[codes] == 0), rows & (half[codes] == 1)


def _share(of: Origin, which: str, fraction: float, seed: int, k: int) -> Mask:
    """(number of codes,) whether split k tests an identity or place: at least one a class."""
    stratum = of.stratum[which]
    tested = np.zeros(len(stratum), dtype=bool)
    for value in np.unique(stratum):
        members = np.flatnonzero(stratum == value)
        n = min(max(round(fraction * len(members)), 1), len(members) - 1)
        tested[stream(seed, f"splits/random/{which}/{k}/{value}").permutation(members)[:n]] = True
    return tested


def _most_frequent(codes: NDArray[np.intp], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(number of codes,) the label that most samples of each code have, the lowest of equals."""
    counts = np.zeros((codes.max(initial=-1) + 1, labels.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(counts, (codes, labels), 1)
    return np.asarray(counts.argmax(axis=1), dtype=np.int64)
