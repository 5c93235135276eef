"""Which images a composed dataset holds: identities split first, then used evenly within groups."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST, TRAIN

N_DRAWS = 8

Counts = Mapping[str, Mapping[str, int]]
"""Class (attribute value) -> identity -> number of its pictures."""


@dataclass(frozen=True)
class Split:
    """What one split holds. code: TRAIN, VAL or TEST. counts: images per group code.

    share: fraction of the identities; the first split of a plan takes what the others leave.
    counterfactual: its images come in sets that differ in the background only, one image for each
    attribute value, so that the groups of one class need equal counts.
    crossed: every identity is shown in every place of its group equally often, give or take one.
    """

    code: int
    counts: tuple[int, ...]
    share: float
    counterfactual: bool = False
    crossed: bool = False


@dataclass(frozen=True, eq=False)
class Row:
    """One image to compose: its group, the identity and picture of both parts, the geometry.

    u: (8,) uniform draws in [0, 1): crop side, x, y, flip; cut-out side, x, y, flip. pair: number
    of the counterfactual set, 0 for an image of none.
    """

    split: int
    y: int
    a: int
    cutout: tuple[str, int]
    background: tuple[str, int]
    u: NDArray[np.float64]
    pair: int = 0


def pool_and_test(n_pool: int, n_test: int, test_fraction: float, n_groups: int) -> list[Split]:
    """A pool and a test set, each with equal groups; n_test = 0: one set, to be split later."""
    if n_test == 0:
        return [Split(TRAIN, tuple(shares(n_pool, n_groups)), 1.0, crossed=True)]
    return [
        Split(TRAIN, tuple(shares(n_pool, n_groups)), 1 - test_fraction),
        Split(TEST, tuple(shares(n_test, n_groups)), test_fraction),
    ]


def layout(cutouts: Counts, backgrounds: Counts, splits: Sequence[Split], seed: int) -> list[Row]:
    """Every image to compose, in order of split and group; a function of its arguments only.

    No identity is in two splits. Within a group each is used equally often, give or take one.
    """
    sides = assigned(cutouts, backgrounds, splits, seed)
    rows: list[Row] = []
    for side, split in enumerate(splits):
        figures, places = (
            {name: {i: source[name][i] for i in part[name][side]} for name in source}
            for source, part in zip((cutouts, backgrounds), sides, strict=True)
        )
        if split.counterfactual:
            before = max((row.pair for row in rows), default=0)
            rows += _sets(figures, places, split, seed, before)
        else:
            rows += _groups(figures, places, split, seed)
    return rows


def assigned(
    cutouts: Counts, backgrounds: Counts, splits: Sequence[Split], seed: int
) -> tuple[dict[str, list[list[str]]], dict[str, list[list[str]]]]:
    """Class -> identities of each split, and the same for attribute values."""
    later = [split.share for split in splits[1:]]
    first, second = (
        {
            name: split_identities(sorted(ids), later, seed, f"{kind} {name}")
            for name, ids in source.items()
        }
        for kind, source in (("cutouts", cutouts), ("backgrounds", backgrounds))
    )
    return first, second


def _groups(cutouts: Counts, backgrounds: Counts, split: Split, seed: int) -> Iterator[Row]:
    groups = itertools.product(enumerate(cutouts), enumerate(backgrounds))
    for ((y, class_name), (a, attribute)), n in zip(groups, split.counts, strict=True):
        stem = f"compose/{split.code}/{class_name}/{attribute}"
        sides = cutouts[class_name], backgrounds[attribute]
        if split.crossed:
            pairs = _crossed(*sides, n, seed, stem)
        else:
            pairs = zip(
                _spread(sides[0], n, seed, f"{stem}/cutout"),
                _spread(sides[1], n, seed, f"{stem}/place"),
                strict=True,
            )
        geometry = stream(seed, f"{stem}/geometry").random((n, N_DRAWS))
        for (cutout, background), u in zip(pairs, geometry, strict=True):
            yield Row(split.code, y, a, cutout, background, u)


def _crossed(
    cutouts: Mapping[str, int], backgrounds: Mapping[str, int], n: int, seed: int, stem: str
) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """n pairs of a cut-out and a place: in every round each identity moves on to its next place.

    So no pair comes a second time before all have come once.
    """
    first, second = (
        [list(source)[i] for i in stream(seed, f"{stem}/{kind}").permutation(len(source))]
        for kind, source in (("cutout", cutouts), ("place", backgrounds))
    )
    turn: Counter[str] = Counter()
    for k in range(n):
        round_, i = divmod(k, len(first))
        chosen = first[i], second[(i + round_) % len(second)]
        yield (
            (chosen[0], turn[chosen[0]] % cutouts[chosen[0]]),
            (chosen[1], turn[chosen[1]] % backgrounds[chosen[1]]),
        )
        turn.update(chosen)


def _sets(
    cutouts: Counts, backgrounds: Counts, split: Split, seed: int, before: int
) -> Iterator[Row]:
    """The k-th images of all groups of a class share cut-out and geometry: one set."""
    for y, class_name in enumerate(cutouts):
        sizes = set(split.counts[y * len(backgrounds) : (y + 1) * len(backgrounds)])
        if len(sizes) > 1:
            raise InputError(
                f"class {class_name} has {sorted(sizes)} images in its groups; counterfactual sets "
                "need as many in each"
            )
        (n,) = sizes
        stem = f"compose/{split.code}/{class_name}"
        chosen = _spread(cutouts[class_name], n, seed, f"{stem}/cutout")
        geometry = stream(seed, f"{stem}/geometry").random((n, N_DRAWS))
        for a, attribute in enumerate(backgrounds):
            places = _spread(backgrounds[attribute], n, seed, f"{stem}/{attribute}/place")
            for k in range(n):
                yield Row(split.code, y, a, chosen[k], places[k], geometry[k], before + k + 1)
        before += n


def shares(n: int, n_groups: int) -> list[int]:
    """Sizes of n images over the groups as equally as possible, the first ones taking the rest."""
    return [n // n_groups + (g < n % n_groups) for g in range(n_groups)]


def split_identities(
    identities: Sequence[str], later: Sequence[float], seed: int, name: str
) -> list[list[str]]:
    """Identities of each split, at least one, from the random stream "identities/`name`".

    later: shares of all splits but the first, which takes the rest.
    """
    n_splits = 1 + len(later)
    if len(identities) < n_splits:
        raise InputError(
            f"{name}: {len(identities)} identities; it needs {n_splits} or more, one for each "
            "split, as splits share none"
        )
    order = stream(seed, f"identities/{name}").permutation(len(identities))
    parts: list[list[str]] = []
    for before, share in reversed(list(enumerate(later, start=1))):
        n = min(max(round(share * len(identities)), 1), len(order) - before)
        parts.append([identities[i] for i in sorted(order[:n])])
        order = order[n:]
    return [[identities[i] for i in sorted(order)], *reversed(parts)]


def _spread(n_pictures: Mapping[str, int], n: int, seed: int, name: str) -> list[tuple[str, int]]:
    """Choices of n (identity, picture): shuffled rounds over identities, pictures taken in turn."""
    identities = list(n_pictures)
    rng = stream(seed, name)
    rounds = -(-n // len(identities))
    order = np.concatenate([rng.permutation(len(identities)) for _ in range(max(rounds, 1))])[:n]
    turn = dict.fromkeys(identities, 0)
    chosen = []
    for i in order:
        identity = identities[i]
        chosen.append((identity, turn[identity] % n_pictures[identity]))
        turn[identity] += 1
    return chosen
