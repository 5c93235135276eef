"""Intrinsic, correlation and group dimensions of two feature matrices on the same samples.

Intrinsic dimension d: the fewest eigenvalues of the uncentred second moment that reach `fraction`
(DLLL25: 0.99) of its trace. The span of their eigenvectors is the principal subspace.

Correlation dimension d_sw, two estimators that measure different things:
- sketch (DLLL25's own): overlap of principal subspaces in *feature* space, the wider features first
  sketched to the narrower width r. Coordinates of two networks have no common meaning, so unless
  the features share coordinates it returns what two random subspaces of R^r do, d_w d_s / r. The
  five published UTKFace values equal that chance level (r = 512 or 768) to 0.3, so report it only
  together with that level.
- canonical: Σ squared canonical correlations of the principal subspaces in *sample* space, the
  overlap of the two function spaces, which is the d_sw of the theorem. Unchanged by rotating or
  scaling either features; at fraction = 1, where nothing is truncated, by any invertible linear
  change.

A sample inflates the canonical sum V. Two spaces that share x directions and are independent
otherwise have, in R^n, E V = x + (d_s − x)(d_w − x)/(n − x), d_w d_s / n at x = 0; solved for x,
    x = (nV − d_w d_s) / (n + V − d_w − d_s),
the `corrected` value: unbiased at canonical correlations 0 and 1 and to first order in 1/n
otherwise up to −Σρ²(1 − ρ²)/n (derived here, not in the papers); NaN for n <= d_w + d_s, where any
two spaces meet.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream

Array = NDArray[np.float64]
Features = NDArray[np.floating]
ROWS = 1024  # rows of a memmap held in float64 at a time


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over samples of w wᵀ, s sᵀ, w sᵀ, w, s. Additive: a fold is taken out by subtraction."""

    n: int
    ww: Array
    ss: Array
    ws: Array
    w: Array
    s: Array

    def __sub__(self, other: Moments) -> Moments:
        return self._combined(other, operator.sub)

    def __add__(self, other: Moments) -> Moments:
        return self._combined(other, operator.add)

    def _combined(self, other: Moments, combine: Callable[[Any, Any], Any]) -> Moments:
        names = (field.name for field in fields(self))
        return Moments(*(combine(getattr(self, name), getattr(other, name)) for name in names))


@dataclass(frozen=True)
class Overlap:
    """Canonical correlation dimension: `raw` = V, `corrected` for `n`, `chance` = d_w d_s / n."""

    d_w: int
    d_s: int
    raw: float
    corrected: float
    chance: float


def check_features(name: str, features: Features, n: int | None = None) -> None:
    """InputError unless features is a finite (n >= 2, d >= 1) matrix; n: samples it must have."""
    shape = features.shape
    if len(shape) != 2 or shape[1] < 1 or not np.issubdtype(features.dtype, np.floating):
        raise InputError(
            f"{name} has shape {shape} and type {features.dtype}: a floating (samples, features) "
            "matrix is needed; reshape or cast it"
        )
    if shape[0] < 2:
        raise InputError(
            f"{name} has {shape[0]} sample: dimensions need at least 2; pass more rows"
        )
    if n is not None and shape[0] != n:
        raise InputError(
            f"{name} has {shape[0]} samples, features_w {n}: both need the same samples in the "
            "same order; select common rows"
        )
    for k, block in enumerate(blocks(features)):
        finite = np.isfinite(block).all(1)
        if not finite.all():
            row = k * ROWS + int(np.argmin(finite))
            raise InputError(f"{name} row {row} is not finite; drop the sample or recompute it")


def check_fraction(fraction: float) -> None:
    """InputError unless fraction lies in (0, 1]."""
    if not 0 < fraction <= 1:
        raise InputError(
            f"fraction={fraction} must lie in (0, 1], the share of the trace; use 0.99"
        )


def blocks(features: Features) -> Iterator[Array]:
    """Consecutive rows (at most ROWS, d) in float64."""
    for start in range(0, features.shape[0], ROWS):
        yield np.asarray(features[start : start + ROWS], dtype=np.float64)


def narrowed(features: Features) -> Features:
    """Features of at most n columns with the same inner products between samples (an isometry)."""
    if features.shape[1] <= features.shape[0]:
        return features
    whole = np.concatenate(list(blocks(features)))
    factor = np.asarray(np.linalg.qr(whole.T, mode="r")).T
    return factor


def moments(features_w: Features, features_s: Features) -> Moments:
    """Moments of two (n, d) feature matrices, in float64, read in blocks."""
    d_w, d_s = features_w.shape[1], features_s.shape[1]
    ww, ss, ws = np.zeros((d_w, d_w)), np.zeros((d_s, d_s)), np.zeros((d_w, d_s))
    w, s = np.zeros(d_w), np.zeros(d_s)
    pairs = zip(blocks(features_w), blocks(features_s), strict=True)
    for block_w, block_s in pairs:
        ww += block_w.T @ block_w
        ss += block_s.T @ block_s
        ws += block_w.T @ block_s
        w += block_w.sum(0)
        s += block_s.sum(0)
    return Moments(features_w.shape[0], ww, ss, ws, w, s)


def principal(name: str, second: Array, fraction: float) -> tuple[Array, Array]:
    """(d,) top eigenvalues, falling, and (D, d) eigenvectors of a second moment up to `fraction`.

    Eigenvalues within rounding of 0 never count. InputError for features that are all zero.
    """
    values, vectors = np.linalg.eigh(second)
    values, vectors = values[::-1], vectors[:, ::-1]
    if not values[0] > 0:
        raise InputError(f"{name} are all zero: they span no dimension; check the extraction")
    kept = np.where(values > values[0] * values.size * np.finfo(np.float64).eps, values, 0)
    reached = np.cumsum(kept)
    d = int(np.searchsorted(reached, fraction * reached[-1])) + 1
    return values[:d], vectors[:, :d]


def overlap(sums: Moments, fraction: float, kept: tuple[float, float] = (1.0, 1.0)) -> Overlap:
    """Canonical correlation dimension from moments; see the module's text.

    kept: share of the trace of all features w and s that those of the moments have.
    """
    values_w, vectors_w = principal("features_w", sums.ww, fraction / kept[0])
    values_s, vectors_s = principal("features_s", sums.ss, fraction / kept[1])
    correlations = (vectors_w / np.sqrt(values_w)).T @ sums.ws @ (vectors_s / np.sqrt(values_s))
    d_w, d_s, n = values_w.size, values_s.size, sums.n
    raw = float(np.sum(correlations**2))
    corrected = (n * raw - d_w * d_s) / (n + raw - d_w - d_s) if n > d_w + d_s else float("nan")
    return Overlap(d_w, d_s, raw, corrected, d_w * d_s / n)


def sketch_overlap(
    features_w: Features, features_s: Features, d_w: int, d_s: int, seed: int
) -> float:
    """Σ squared singular values of V_sᵀV_w, V the top d_w, d_s eigenvectors after the sketch."""
    r = min(features_w.shape[1], features_s.shape[1])
    bases = []
    for name, features, d in (("features_w", features_w, d_w), ("features_s", features_s, d_s)):
        sketch = None
        if features.shape[1] > r:
            draw = stream(seed, "correlation_dimension/sketch")
            sketch = draw.standard_normal((features.shape[1], r)) / np.sqrt(r)
        second = np.zeros((r, r))
        for block in blocks(features):
            seen = block if sketch is None else block @ sketch
            second += seen.T @ seen
        bases.append(principal(name, second, 1.0)[1][:, :d])
    return float(np.sum((bases[1].T @ bases[0]) ** 2))


def sketch_chance(features_w: Features, features_s: Features, d_w: int, d_s: int) -> float:
    """d_w d_s / r: what `sketch_overlap` gives for two random subspaces of R^r (d capped at r)."""
    r = min(features_w.shape[1], features_s.shape[1])
    return float(min(d_w, r) * min(d_s, r) / r)


def cka(sums: Moments) -> float:
    """Linear centred kernel alignment in [0, 1]: 1 for features equal up to rotation and scale.

    Source: Kornblith et al., ICML 2019, eq. 3.
    """
    ww = sums.ww - np.outer(sums.w, sums.w) / sums.n
    ss = sums.ss - np.outer(sums.s, sums.s) / sums.n
    ws = sums.ws - np.outer(sums.w, sums.s) / sums.n
    for name, centred, raw in (("features_w", ww, sums.ww), ("features_s", ss, sums.ss)):
        if not np.trace(centred) > np.trace(raw) * raw.shape[0] * np.finfo(np.float64).eps:
            raise InputError(
                f"{name} are the same for every sample: CKA needs variation; check them"
            )
    return float(np.sum(ws**2) / (np.linalg.norm(ww) * np.linalg.norm(ss)))
