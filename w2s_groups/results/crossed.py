"""Intervals of crossed folds: they hold for new identities, new places, new pools and new draws.

Identities (which animal) and places (which photograph) are each divided into folds. Block (i, j)
tests identity fold i before place fold j with heads whose samples avoid both, so every pair of an
identity and a place is tested in one block. A contrast c weighs the pooled group accuracies:
theta = sum_pmg c[p, m, g] accuracy[p, m, g]. docs/intervals.md has the formulas, their sources and
the measured coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_groups.core.lazy import sparse
from w2s_groups.results.stats import LEVEL, Floats, Interval, t_quantile, t_tail

Ints = NDArray[np.int64]
_BATCH = 512  # contrasts at a time: memory is _BATCH x pairs


@dataclass(frozen=True, eq=False)
class Crossed:
    """Counts of a crossed design: P points, M methods, Q tested pairs of an identity and a place.

    right: (P, M, Q) test samples of each pair that a method decides rightly, summed over seeds; NaN
    where its cell failed. n: (P, Q) test samples, counted once for each seed.
    identity, place, group: (Q,) codes of each pair, the group below n_groups = G.
    class_of: (n_identities,) class of each identity; attribute_of: (n_places,) of each place.
    identity_fold, place_fold: (n_identities,) in 0..I-1 and (n_places,) in 0..J-1. Block (i, j) has
    number i J + j; its accuracies are those of its pairs, so they are not given.
    audits: accuracies (M, I J, 4, G) at one point of four heads a block: two draws from the block's
    whole pool, one from a half of it and one from the other half. "identities": halves of the
    identities; "places": halves of the places. Either may be missing.
    """

    right: Floats
    n: NDArray[np.int64]
    identity: Ints
    place: Ints
    group: Ints
    class_of: Ints
    attribute_of: Ints
    identity_fold: Ints
    place_fold: Ints
    n_groups: int
    audits: Mapping[str, Floats]

    @property
    def folds(self) -> tuple[int, int]:
        """Numbers I and J of folds of identities and of places."""
        return int(self.identity_fold.max()) + 1, int(self.place_fold.max()) + 1


class Parts(NamedTuple):
    """Parts of the variance of each contrast's estimate, (...) each.

    identities and places hold the cells' part too, so total = max(identities + places - cells,
    identities, places) + draws + pool. pool is NaN where no audit measured it: the total is then
    for this pool only. df: Satterthwaite's degrees of freedom of the total.
    """

    identities: Floats
    places: Floats
    cells: Floats
    draws: Floats
    pool: Floats
    total: Floats
    df: Floats


@lru_cache(maxsize=16)
def group_accuracy(crossed: Crossed) -> Floats:
    """(P, M, G) accuracies pooled over blocks; NaN for an absent group or a failed cell."""
    right = _sums(crossed.right, crossed.group, crossed.n_groups)
    n = _sums(crossed.n, crossed.group, crossed.n_groups)[:, None]
    accuracy: Floats = np.divide(right, n, out=np.full(right.shape, np.nan), where=n > 0)
    return accuracy


def method_contrasts(crossed: Crossed, weights: ArrayLike) -> Floats:
    """(M, P, M, G): each method's mean over points of its accuracy with group `weights` (G,).

    The difference of methods a and b is method_contrasts(...)[a] - method_contrasts(...)[b].
    """
    points, methods, _ = crossed.right.shape
    weight = np.asarray(weights, dtype=np.float64) / points
    contrasts: Floats = np.eye(methods)[:, None, :, None] * weight * np.ones((points, 1, 1))
    return contrasts


def interval(crossed: Crossed, contrast: ArrayLike, level: float = LEVEL) -> Interval:
    """theta, theta -+ t(df) sqrt(total) and the number of blocks, for contrasts (..., P, M, G)."""
    theta, parts = estimate(crossed, contrast), variance(crossed, contrast)
    half = t_quantile(0.5 + level / 2, parts.df) * np.sqrt(parts.total)
    blocks = np.where(np.isnan(half), 0, np.prod(crossed.folds)).astype(np.int64)
    return Interval(np.where(np.isnan(half), np.nan, theta), theta - half, theta + half, blocks)


def p_value(crossed: Crossed, contrast: ArrayLike) -> Floats:
    """Two-sided p (...) of theta = 0; 1 where every pair says 0, NaN where the design has a gap."""
    theta, parts = estimate(crossed, contrast), variance(crossed, contrast)
    return two_sided_p(theta, parts)


def two_sided_p(theta: Floats, parts: Parts) -> Floats:
    """P of |t| at least |theta| / sqrt(total), with the parts' df; 1 where theta is 0."""
    # Rounded: equal accuracies summed in another order are no difference.
    distance = np.abs(np.round(theta, 12))
    far = np.where(distance == 0.0, 0.0, np.inf)
    error = np.sqrt(parts.total)
    t = np.divide(distance, error, out=far, where=error > 1e-12)
    p = 2 * t_tail(t, parts.df)
    return np.asarray(np.where(np.isnan(parts.total), np.nan, p), dtype=np.float64)


def estimate(crossed: Crossed, contrast: ArrayLike) -> Floats:
    """theta (...) of contrasts (..., P, M, G); NaN where a group with weight is not there."""
    weight = np.asarray(contrast, dtype=np.float64)
    product = np.where(weight == 0.0, 0.0, weight * group_accuracy(crossed))
    return np.asarray(product.sum(axis=(-3, -2, -1)), dtype=np.float64)


def variance(crossed: Crossed, contrast: ArrayLike) -> Parts:
    """Variance of theta for contrasts (..., P, M, G), by parts.

    NaN where a failed cell, or a block without a group, leaves a gap in the contrast, and where a
    side has one fold, so that nothing shows how much another would change.
    """
    weight = np.asarray(contrast, dtype=np.float64)
    lead, cell = weight.shape[:-3], weight.shape[-3:]
    stack = weight.reshape(-1, *cell)
    table = _Table.of(crossed)
    batches = [
        _variance(crossed, table, stack[k : k + _BATCH]) for k in range(0, len(stack), _BATCH)
    ]
    return Parts(*(np.concatenate(part).reshape(lead) for part in zip(*batches, strict=True)))


class _Table(NamedTuple):
    """What all contrasts share.

    scores: (P, M, Q), each pair's part of the error of its group's accuracy, 0 in a gap. blocks:
    (P, M, G, I J) accuracies, 0 in a gap. gap: (P, M, G). half: (P, G) share of half a sample in a
    group. identities, places: (G, n) whether each is tested in each group.
    """

    scores: Floats
    blocks: Floats
    gap: NDArray[np.bool_]
    half: Floats
    identities: NDArray[np.bool_]
    places: NDArray[np.bool_]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, crossed: Crossed) -> _Table:
        group, n_groups = crossed.group, crossed.n_groups
        (i, j), n_blocks = crossed.folds, int(np.prod(crossed.folds))
        block = crossed.identity_fold[crossed.identity] * j + crossed.place_fold[crossed.place]
        right = _sums(crossed.right, group * n_blocks + block, n_groups * n_blocks)
        n = _sums(crossed.n, group * n_blocks + block, n_groups * n_blocks)[:, None]
        blocks = np.divide(right, n, out=np.full(right.shape, np.nan), where=n > 0)
        blocks = blocks.reshape(*right.shape[:2], n_groups, n_blocks)
        seen = [_by(crossed.n, crossed, *side).sum(axis=0).T > 0 for side in _sides(crossed)]
        gap = np.isnan(blocks).any(axis=-1) | (min(i, j) < 2)
        size = np.maximum(_sums(crossed.n, group, n_groups), 1)
        accuracy = group_accuracy(crossed)[:, :, group]
        scores = (crossed.right - crossed.n[:, None] * accuracy) / size[:, None, group]
        scores = np.where(gap[:, :, group], 0.0, scores)
        return cls(scores, np.nan_to_num(blocks), gap, 0.5 / size, *seen)


def _variance(crossed: Crossed, table: _Table, weight: Floats) -> Parts:
    """Parts (K,) of contrasts (K, P, M, G)."""
    used = (weight != 0.0).any(axis=(1, 2)).astype(np.float64)
    d = np.empty((len(weight), crossed.group.size))
    for g in range(crossed.n_groups):
        here = crossed.group == g
        d[:, here] = np.tensordot(weight[..., g], table.scores[..., here], 2)
    # Deviations from estimated means are too small by these factors, exactly so in a full table.
    of_identities, of_places = (_factor(t.sum(axis=1)) for t in (table.identities, table.places))
    i, j = (_by(d, crossed, *side) for side in _sides(crossed))
    identities, of_i = _clusters(i, table.identities, crossed.class_of, used, of_places)
    places, of_p = _clusters(j, table.places, crossed.attribute_of, used, of_identities)
    cells = d**2 @ (of_identities * of_places)[crossed.group]
    draws, of_d = _draws(crossed, table, weight)
    pool, of_pool = _pool(crossed, weight)
    tests = np.maximum(identities + places - cells, np.maximum(identities, places))
    total = tests + draws + (pool if crossed.audits else 0.0)
    # Half a sample: a group with every sample right does not show that all others would be.
    least = ((weight * table.half[:, None]).sum(axis=1) ** 2).sum(axis=(1, 2))
    total = np.maximum(total, least)
    uncertain = of_i + of_p + of_d + of_pool
    df = np.divide(total**2, uncertain, out=np.full(total.shape, np.inf), where=uncertain > 0)
    broken = ((weight != 0.0) & table.gap).any(axis=(1, 2, 3)) | np.isnan(total)
    parts = Parts(identities, places, cells, draws, pool, total, df)
    return Parts(*(np.where(broken, np.nan, part) for part in parts))


def _clusters(
    sums: Floats, seen: NDArray[np.bool_], strata: Ints, used: Floats, factor: Floats
) -> tuple[Floats, Floats]:
    """Variance (K,) of sums (K, n, G) over n clusters, and its square over its df.

    seen: (G, n); strata: (n,) class or attribute value of each cluster; used: (K, G) groups with
    weight; factor: (G,) of the other side, for the part that a cluster has within one group.
    """
    member = np.eye(int(strata.max()) + 1)[strata]
    number = (used @ seen > 0) @ member
    square = sums.sum(axis=-1) ** 2 + sums**2 @ (factor - 1)
    part = square @ member * _factor(number)
    return part.sum(axis=-1), (part**2 / np.maximum(number - 1, 1)).sum(axis=-1)


def _draws(crossed: Crossed, table: _Table, weight: Floats) -> tuple[Floats, Floats]:
    """Variance (K,) of the draws from what fits no sum of a row and a column of the blocks."""
    i, j = crossed.folds
    theta = np.tensordot(weight, table.blocks, 3).reshape(-1, i, j)
    rest = theta - theta.mean(axis=1, keepdims=True)
    rest = rest - rest.mean(axis=2, keepdims=True)
    df = max((i - 1) * (j - 1), 1)
    part = (rest**2).sum(axis=(1, 2)) / df / (i * j)
    return part, part**2 / df


def _pool(crossed: Crossed, weight: Floats) -> tuple[Floats, Floats]:
    """Variance (K,) of the pool's identities and places; NaN where an audited head is missing.

    All points have the same pools, so their weights add up at the audited point. Heads of two
    halves differ by twice the distance of one from the whole, hence 4. Each identity is in a share
    1 - 1 / folds of the pools, and the blocks together have all. The kinds' estimates add up before
    the sum is cut at 0: of noise around 0, the cut of a sum leaves less than the sum of the cuts.
    """
    if not crossed.audits:
        return np.full(len(weight), np.nan), np.zeros(len(weight))
    summed, part = weight.sum(axis=1), np.zeros(len(weight))
    for kind, heads in crossed.audits.items():
        folds = crossed.folds[("identities", "places").index(kind)]
        theta = np.einsum("kmg,mbhg->hkb", summed, np.nan_to_num(heads))
        noise = ((theta[0] - theta[1]) ** 2).mean(axis=-1)
        apart = ((theta[2] - theta[3]) ** 2).mean(axis=-1)
        missing = (summed != 0.0) & np.isnan(heads).any(axis=(1, 2))
        part += (apart - noise) / 4 * (1 - 1 / folds)
        part[missing.any(axis=(1, 2))] = np.nan
    part = np.maximum(part, 0.0)
    return part, part**2 / (np.prod(crossed.folds) - 1)


def _factor(number: ArrayLike) -> Floats:
    """k / (k - 1); 1 for fewer than two."""
    k = np.asarray(number, dtype=np.float64)
    return np.where(k < 2, 1.0, k / np.maximum(k - 1, 1))


def _sides(crossed: Crossed) -> tuple[tuple[Ints, int], tuple[Ints, int]]:
    """Codes and number of the identities, and of the places."""
    identities, places = crossed.class_of.size, crossed.attribute_of.size
    return (crossed.identity, identities), (crossed.place, places)


def _by(values: ArrayLike, crossed: Crossed, codes: Ints, n: int) -> Floats:
    """(K, Q) -> sums (K, n, G) by identity or place, and group."""
    sums = _sums(values, codes * crossed.n_groups + crossed.group, n * crossed.n_groups)
    return sums.reshape(-1, n, crossed.n_groups)


def _sums(values: ArrayLike, codes: Ints, n: int) -> Floats:
    """Sums (..., n) over the last axis of values (..., Q) by code."""
    value = np.asarray(values, dtype=np.float64)
    indicator = sparse.csr_array(
        (np.ones(codes.size), (codes, np.arange(codes.size))), (n, codes.size)
    )
    flat = value.reshape(-1, codes.size)
    return np.asarray((indicator @ flat.T).T).reshape(*value.shape[:-1], n)
