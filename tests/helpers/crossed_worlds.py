"""Simulated crossed designs with a known truth: 60 + 34 identities before 16 + 8 places.

A sample is right with logit = group + identity + place + draw + pool. The pool's effect is the mean
of what each of its identities and places teaches. All effects are normal, so a group's expected
accuracy over new identities, places, draws and pools is an integral that needs no simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from w2s_groups.results.crossed import Crossed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
CLASS_OF, ATTRIBUTE_OF = np.repeat([0, 1], [60, 34]), np.repeat([0, 1], [16, 8])
IDENTITY, PLACE = (codes.ravel() for codes in np.indices((CLASS_OF.size, ATTRIBUTE_OF.size)))
GROUP = 2 * CLASS_OF[IDENTITY] + ATTRIBUTE_OF[PLACE]
FOLDS = 3
_OWN, _OTHER = (
    1.1,
    0.3,
)  # a class gets this much of what its pool teaches, and of what the other does
EACH = 1500  # samples of a group
# Logits (methods, groups). One clearly worst group; two that are nearly or exactly equal; four.
SCENARIOS = {
    "one worst": np.array([[2.6, 2.3, 2.0, 0.8], [2.8, 2.6, 2.2, 1.2]]),
    "two near": np.array([[2.6, 2.3, 1.0, 1.0], [2.8, 2.6, 1.35, 1.3]]),
    "four equal": np.array([[1.2] * 4, [1.5] * 4]),
    "tied against one": np.array([[1.2] * 4, [2.8, 2.6, 2.2, 1.2]]),
}


@dataclass(frozen=True)
class World:
    """Standard deviations of effects on the logit; correlations between methods."""

    logits: Floats
    identity: float = 1.5
    place: float = 0.7
    draw: tuple[float, float, float] = (0.2, 0.45, 0.4)  # all groups, between classes, each group
    pool: tuple[float, float] = (0.22, 0.1)  # of the identities and the places of a fold's pool
    tested_alike: float = 0.8
    drawn_alike: float = 0.25
    taught_alike: float = 0.5

    @property
    def truth(self) -> Floats:
        """(M, G) expected accuracies."""
        taught = sum(sd**2 for sd in self.pool) * (_OWN**2 + _OTHER**2)
        sd = np.sqrt(self.identity**2 + self.place**2 + sum(s**2 for s in self.draw) + taught)
        x, w = np.polynomial.hermite_e.hermegauss(80)
        return expit(self.logits[..., None] + sd * x) @ (w / w.sum())

    def people(self, generator: np.random.Generator) -> Population:
        """New identities and places."""
        m = len(self.logits)
        of_fold = [np.bincount(of)[of] * 2 / 3 for of in (CLASS_OF, ATTRIBUTE_OF)]
        tested = [
            _alike(generator, (of.size,), m, self.tested_alike) * sd
            for of, sd in ((CLASS_OF, self.identity), (ATTRIBUTE_OF, self.place))
        ]
        taught = [
            _alike(generator, (n.size,), m, self.taught_alike) * sd * np.sqrt(n)[:, None]
            for n, sd in zip(of_fold, self.pool, strict=True)
        ]
        base = self.logits.T[GROUP] + tested[0][IDENTITY] + tested[1][PLACE]
        return Population(self, generator, base, taught[0], taught[1])


@dataclass(frozen=True)
class Population:
    """Effects of one set of identities and places: base (Q, M), what each teaches (n, M)."""

    world: World
    generator: np.random.Generator
    base: Floats
    identities: Floats
    places: Floats
    n: NDArray[np.int64] = field(default_factory=lambda: spread(EACH))

    def head(self, identities: Mask, places: Mask, pairs: NDArray[np.intp]) -> Floats:
        """(M, len(pairs)) samples that one draw's head decides rightly, of n[pairs]."""
        m = len(self.world.logits)
        common, shift, own = (
            _alike(self.generator, shape, m, self.world.drawn_alike) * sd
            for shape, sd in zip(((), (), (4,)), self.world.draw, strict=True)
        )
        sign = np.array([1.0, 1.0, -1.0, -1.0])[:, None]
        taught = _taught(self.identities, identities, CLASS_OF)[[0, 0, 1, 1]]
        taught = taught + _taught(self.places, places, ATTRIBUTE_OF)[[0, 1, 0, 1]]
        effect = common + sign * shift + own + taught
        chance = expit(self.base[pairs] + effect[GROUP[pairs]]).T
        return self.generator.binomial(self.n[pairs], chance).astype(np.float64)

    def crossed(self, points: int = 1) -> Crossed:
        """One table of 3 x 3 blocks and its audits; points differ by their draws only."""
        folds = [_parts(self.generator, of, FOLDS) for of in (CLASS_OF, ATTRIBUTE_OF)]
        right = np.empty((points, len(self.world.logits), GROUP.size))
        audits = {
            kind: np.empty((right.shape[1], FOLDS**2, 4, 4)) for kind in ("identities", "places")
        }
        for b in range(FOLDS**2):
            i, j = divmod(b, FOLDS)
            pairs = np.flatnonzero((folds[0][IDENTITY] == i) & (folds[1][PLACE] == j))
            pool_i, pool_p = folds[0] != i, folds[1] != j
            for p in range(points):
                right[p][:, pairs] = self.head(pool_i, pool_p, pairs)
            again = self.head(pool_i, pool_p, pairs)
            half_i = halves(self.generator, pool_i, CLASS_OF)
            half_p = halves(self.generator, pool_p, ATTRIBUTE_OF)
            for kind, pools in (
                ("identities", ((half_i, pool_p), (pool_i & ~half_i, pool_p))),
                ("places", ((pool_i, half_p), (pool_i, pool_p & ~half_p))),
            ):
                heads = [right[0][:, pairs], again, *(self.head(*pool, pairs) for pool in pools)]
                audits[kind][:, b] = np.stack(
                    [self.accuracy(head, pairs) for head in heads], axis=1
                )
        return Crossed(
            right, np.tile(self.n, (points, 1)), IDENTITY, PLACE, GROUP, CLASS_OF, ATTRIBUTE_OF,
            folds[0], folds[1], 4, audits,
        )  # fmt: skip

    def splits(self, j: int, draws: int) -> Floats:
        """(j, draws, M, G) accuracies of random splits that test a third of either side."""
        out = []
        for _ in range(j):
            test_i, test_p = (
                _parts(self.generator, of, FOLDS) == 0 for of in (CLASS_OF, ATTRIBUTE_OF)
            )
            pairs = np.flatnonzero(test_i[IDENTITY] & test_p[PLACE])
            heads = [self.head(~test_i, ~test_p, pairs) for _ in range(draws)]
            out.append([self.accuracy(head, pairs) for head in heads])
        return np.array(out)

    def accuracy(self, right: Floats, pairs: NDArray[np.intp]) -> Floats:
        """(M, G) of the samples (M, len(pairs)) that a head decides rightly."""
        by_group = np.eye(4)[GROUP[pairs]]
        return (right @ by_group) / (self.n[pairs] @ by_group)


def spread(each: int) -> NDArray[np.int64]:
    """(Q,) samples of each pair: `each` in every group, as equal as they can be."""
    n = np.empty(GROUP.size, dtype=np.int64)
    for g in range(4):
        (pairs,) = np.nonzero(g == GROUP)
        n[pairs] = np.diff(np.arange(pairs.size + 1) * each // pairs.size)
    return n


def halves(generator: np.random.Generator, pool: Mask, strata: NDArray[np.int64]) -> Mask:
    """Half of the pool in each stratum."""
    half = np.zeros_like(pool)
    for s in np.unique(strata):
        members = generator.permutation(np.flatnonzero(pool & (strata == s)))
        half[members[: members.size // 2]] = True
    return half


def _parts(generator: np.random.Generator, strata: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Fold of each member, as equal as they can be in each stratum."""
    folds = np.empty_like(strata)
    for s in np.unique(strata):
        members = np.flatnonzero(strata == s)
        folds[generator.permutation(members)] = np.arange(members.size) % k
    return folds


def _taught(effects: Floats, pool: Mask, strata: NDArray[np.int64]) -> Floats:
    """(2, M) what a pool teaches each stratum: mostly its own effects, a little of the other."""
    first, second = (effects[pool & (strata == s)].mean(axis=0) for s in (0, 1))
    return np.stack([_OWN * first + _OTHER * second, _OTHER * first + _OWN * second])


def _alike(generator: np.random.Generator, shape: tuple[int, ...], m: int, rho: float) -> Floats:
    """(*shape, m) standard normal, with correlation rho over the last axis."""
    shared, own = generator.standard_normal((*shape, 1)), generator.standard_normal((*shape, m))
    return np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
