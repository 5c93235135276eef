"""Which images a composed dataset holds: identities split first, then balanced within groups."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_groups.data.base import TEST, TRAIN
from w2s_groups.errors import InputError
from w2s_groups.seeds import stream

N_DRAWS = 8


@dataclass(frozen=True, eq=False)
class Row:
    """One image to compose: its group, the identity and picture of both parts, the geometry.

    u: (8,) uniform draws in [0, 1): crop side, x, y, flip; cut-out side, x, y, flip.
    """

    split: int
    y: int
    a: int
    cutout: tuple[str, int]
    background: tuple[str, int]
    u: NDArray[np.float64]


def plan(
    cutouts: Mapping[str, Mapping[str, int]],
    backgrounds: Mapping[str, Mapping[str, int]],
    n_pool: int,
    n_test: int,
    test_fraction: float,
    seed: int,
) -> list[Row]:
    """Every image to compose, in order of split and group; a function of its arguments alone.

    cutouts, backgrounds: class (attribute value) -> identity -> number of pictures. The groups of a
    split get equal counts; within a group each identity is used equally often, give or take one.
    """
    sides = [
        {
            name: split_identities(sorted(ids), test_fraction, seed, f"{kind} {name}")
            for name, ids in source.items()
        }
        for kind, source in (("cutouts", cutouts), ("backgrounds", backgrounds))
    ]
    rows = []
    for side, (split, n) in enumerate(((TRAIN, n_pool), (TEST, n_test))):
        groups = list(itertools.product(enumerate(cutouts), enumerate(backgrounds)))
        for ((y, class_name), (a, attribute)), count in zip(
            groups, shares(n, len(groups)), strict=True
        ):
            stem = f"compose/{split}/{class_name}/{attribute}"
            pairs = zip(
                _spread(
                    cutouts[class_name], sides[0][class_name][side], count, seed, f"{stem}/cutout"
                ),
                _spread(
                    backgrounds[attribute], sides[1][attribute][side], count, seed, f"{stem}/place"
                ),
                stream(seed, f"{stem}/geometry").random((count, N_DRAWS)),
                strict=True,
            )
            rows += [Row(split, y, a, cutout, background, u) for cutout, background, u in pairs]
    return rows


def shares(n: int, n_groups: int) -> list[int]:
    """n images over the groups as equally as possible, the first ones taking the rest."""
    return [n // n_groups + (g < n % n_groups) for g in range(n_groups)]


def split_identities(
    identities: Sequence[str], test_fraction: float, seed: int, name: str
) -> tuple[list[str], list[str]]:
    """(pool, test) identities, at least one each, from the random stream "identities/`name`"."""
    if len(identities) < 2:
        raise InputError(
            f"{name}: {len(identities)} identities; it needs two or more, as the test shares none"
        )
    n_test = min(max(round(test_fraction * len(identities)), 1), len(identities) - 1)
    order = stream(seed, f"identities/{name}").permutation(len(identities))
    pool, test = sorted(order[n_test:]), sorted(order[:n_test])
    return [identities[i] for i in pool], [identities[i] for i in test]


def _spread(
    n_pictures: Mapping[str, int], identities: Sequence[str], n: int, seed: int, name: str
) -> list[tuple[str, int]]:
    """n (identity, picture) choices: shuffled rounds over identities, pictures taken in turn."""
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
