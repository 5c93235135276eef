"""The variance of crossed folds again, one pair of tested pairs at a time: slow and simple."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from w2s_groups.results.crossed import Crossed

Floats = NDArray[np.float64]


def contributions(c: Crossed, weight: Floats) -> Floats:
    """(Q,) what each pair adds to the error of theta."""
    points, methods, pairs = c.right.shape
    d = np.zeros(pairs)
    for p, m, q in product(range(points), range(methods), range(pairs)):
        g = c.group[q]
        n = sum(c.n[p, r] for r in range(pairs) if c.group[r] == g)
        right = sum(c.right[p, m, r] for r in range(pairs) if c.group[r] == g)
        d[q] += weight[p, m, g] * (c.right[p, m, q] - c.n[p, q] * right / n) / n
    return d


def parts(c: Crossed, weight: Floats) -> dict[str, float]:
    """Parts of the variance and df of one contrast (P, M, G) that weighs every group."""
    d, pairs = contributions(c, weight), range(c.group.size)
    groups = range(c.n_groups)
    n_identities = [len({c.identity[q] for q in pairs if c.group[q] == g}) for g in groups]
    n_places = [len({c.place[q] for q in pairs if c.group[q] == g}) for g in groups]
    by_class, by_attribute = {}, {}
    cells = 0.0
    for code, of, by, other in (
        (c.identity, c.class_of, by_class, n_places),
        (c.place, c.attribute_of, by_attribute, n_identities),
    ):
        for stratum in set(of):
            k = len({code[q] for q in pairs if of[code[q]] == stratum})
            total = 0.0
            for q, r in product(pairs, pairs):
                if code[q] == code[r] and of[code[q]] == stratum:
                    same = c.group[q] == c.group[r]
                    few = other[c.group[q]] / (other[c.group[q]] - 1) if same else 1.0
                    total += few * d[q] * d[r]
            by[stratum] = (total * k / (k - 1), k - 1)
    for q in pairs:
        k, j = n_identities[c.group[q]], n_places[c.group[q]]
        cells += d[q] ** 2 * k / (k - 1) * j / (j - 1)
    identities = sum(part for part, _ in by_class.values())
    places = sum(part for part, _ in by_attribute.values())
    draws, df_draws = _draws(c, weight)
    pool, df_pool = _pool(c, weight), c.folds[0] * c.folds[1] - 1
    total = max(identities + places - cells, identities, places) + draws + pool
    uncertain = sum(v**2 / df for v, df in (*by_class.values(), *by_attribute.values()))
    uncertain += draws**2 / df_draws + pool**2 / df_pool
    return {
        "identities": identities, "places": places, "cells": cells, "draws": draws, "pool": pool,
        "total": total, "df": total**2 / uncertain,
    }  # fmt: skip


def _draws(c: Crossed, weight: Floats) -> tuple[float, int]:
    rows, columns = c.folds
    theta = np.zeros((rows, columns))
    for i, j, p, m, g in product(range(rows), range(columns), *map(range, weight.shape)):
        block = (c.identity_fold[c.identity] == i) & (c.place_fold[c.place] == j) & (c.group == g)
        theta[i, j] += weight[p, m, g] * c.right[p, m, block].sum() / c.n[p, block].sum()
    rest = theta - theta.mean(1)[:, None] - theta.mean(0) + theta.mean()
    df = (rows - 1) * (columns - 1)
    return float((rest**2).sum() / df / (rows * columns)), df


def _pool(c: Crossed, weight: Floats) -> float:
    total = 0.0
    for kind, folds in zip(("identities", "places"), c.folds, strict=True):
        for b in range(c.folds[0] * c.folds[1]):
            one, two, half, other = (
                sum(
                    weight[p, m, g] * c.audits[kind][m, b, h, g]
                    for p, m, g in product(*map(range, weight.shape))
                )
                for h in range(4)
            )
            value = ((half - other) ** 2 - 2 * (one - two) ** 2 / 2) / 4 * (1 - 1 / folds)
            total += value / (c.folds[0] * c.folds[1])
    return max(total, 0.0)
